import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";

import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { SearchBox } from "../components/SearchBox";
import { inDays } from "../components/streams/inDays";
import { PublishDialog } from "../components/streams/PublishDialog";
import { RetentionDialog } from "../components/streams/RetentionDialog";
import { TopicMessages } from "../components/streams/TopicMessages";
import { Ago } from "../components/Times";
import { Button } from "../components/ui/button";
import { retentionQuery, topicsQuery } from "../services/streams";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/streams");

export function StreamsPage() {
  const { topic, namespace = "" } = route.useSearch();
  return topic === undefined ? <Topics /> : <Topic key={`${namespace}/${topic}`} namespace={namespace} topic={topic} />;
}

function Topics() {
  useTitle("Streams");
  const { tenant } = useSession();
  const { search = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const [publishes, setPublishes] = useState(false);
  const [setsRetention, setSetsRetention] = useState(false);
  const topics = useInfiniteQuery(topicsQuery(tenant.id, search));
  const hours = useQuery(retentionQuery(tenant.id)).data;
  return (
    <>
      <PageHeader title="Streams" docs="streams">
        <SearchBox
          label="Find by name"
          value={search}
          onChange={(text) => void navigate({ search: text === "" ? {} : { search: text }, replace: true })}
        />
        {hours !== undefined && (
          <Button needs="putRetention" onClick={() => setSetsRetention(true)}>
            Kept for {inDays(hours)}
          </Button>
        )}
        <Button variant="primary" needs="publish" onClick={() => setPublishes(true)}>
          Publish a message
        </Button>
      </PageHeader>
      <PagedTable
        label="Topics"
        query={topics}
        keyOf={(row) => `${row.namespace}/${row.topic}`}
        empty={
          search === "" ? (
            <Notice title="No topics">
              <p>A topic comes to be with its first message, from your code, over HTTP, in SQL or from this page.</p>
            </Notice>
          ) : (
            <Notice title={`No topic has “${search}” in its name`} />
          )
        }
        columns={[
          {
            title: "Topic",
            cell: (row) => (
              <Link
                to="/streams"
                search={{ topic: row.topic, ...(row.namespace !== "" && { namespace: row.namespace }) }}
                className="font-medium break-all text-accent hover:underline"
              >
                {row.topic}
              </Link>
            ),
          },
          { title: "Namespace", cell: (row) => <span className="break-all">{row.namespace === "" ? "–" : row.namespace}</span> },
          { title: "Messages kept", cell: (row) => <span className="tabular-nums">{row.messageCount.toLocaleString()}</span> },
          { title: "Latest", cell: (row) => <Ago instantMs={row.lastPublishedAt} /> },
          { title: "First", cell: (row) => <Ago instantMs={row.createdAt} /> },
        ]}
      />
      {publishes && <PublishDialog tenantId={tenant.id} onClose={() => setPublishes(false)} />}
      {setsRetention && hours !== undefined && (
        <RetentionDialog tenantId={tenant.id} hours={hours} onClose={() => setSetsRetention(false)} />
      )}
    </>
  );
}

function Topic({ namespace, topic }: { namespace: string; topic: string }) {
  useTitle(topic);
  const { tenant } = useSession();
  const [publishes, setPublishes] = useState(false);
  return (
    <>
      <Link to="/streams" className="text-sm text-accent hover:underline">
        All topics
      </Link>
      <PageHeader title={<span className="break-all">{namespace === "" ? topic : `${namespace} / ${topic}`}</span>} docs="streams">
        <Button variant="primary" needs="publish" onClick={() => setPublishes(true)}>
          Publish a message
        </Button>
      </PageHeader>
      <TopicMessages tenantId={tenant.id} namespace={namespace} topic={topic} />
      {publishes && <PublishDialog tenantId={tenant.id} namespace={namespace} topic={topic} onClose={() => setPublishes(false)} />}
    </>
  );
}
