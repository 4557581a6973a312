import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { SearchBox } from "../components/SearchBox";
import { Ago, LocalTime } from "../components/Times";
import { CreateToken } from "../components/tokens/CreateToken";
import { RotateToken } from "../components/tokens/RotateToken";
import { Button } from "../components/ui/button";
import { revokeToken, tokensQuery, type ApiToken } from "../services/tokens";
import { useNowMs } from "../time/now";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/settings/tokens");

function topicName({ namespace, name }: { namespace: string; name: string }): string {
  return namespace === "" ? name : `${name} in ${namespace}`;
}

export function TokensPage() {
  useTitle("API tokens");
  const { tenant } = useSession();
  const { search = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const client = useQueryClient();
  const tokens = useInfiniteQuery(tokensQuery(tenant.id, search));
  const [creates, setCreates] = useState(false);
  const [rotated, setRotated] = useState<ApiToken | null>(null);
  const nowMs = useNowMs();
  const refresh = () => void client.invalidateQueries({ queryKey: ["tokens"] });

  return (
    <>
      <PageHeader title="API tokens" docs="team#tokens">
        <SearchBox
          label="Search by name"
          value={search}
          onChange={(text) => void navigate({ search: { search: text === "" ? undefined : text }, replace: true })}
        />
        <Button variant="primary" needs="createToken" onClick={() => setCreates(true)}>
          Create a token
        </Button>
      </PageHeader>
      <PagedTable
        label="API tokens"
        query={tokens}
        keyOf={(token) => token.metadata.id}
        empty={
          search !== "" ? (
            <Notice title="No token is called that">
              <p>
                No token of {tenant.name} has “{search}” in its name.
              </p>
            </Notice>
          ) : (
            <Notice title="No tokens">
              <p>A program carries a token to say which tenant it speaks for. Create one to connect a worker.</p>
            </Notice>
          )
        }
        columns={[
          { title: "Name", cell: (token) => token.name },
          { title: "Role", cell: (token) => (token.topic === null ? token.role : `reads ${topicName(token.topic)}`) },
          {
            title: "Created",
            cell: (token) => (
              <>
                <Ago instantMs={token.metadata.createdAt} />
                {token.madeBy !== null && <span className="text-ink-soft"> by {token.madeBy}</span>}
              </>
            ),
          },
          {
            title: "Last used",
            cell: (token) => (token.lastUsedAt === null ? "never" : <Ago instantMs={token.lastUsedAt} />),
          },
          { title: "Expires", cell: (token) => <Expiry token={token} /> },
          {
            title: "Change",
            isUntitled: true,
            cell: (token) => (
              <span className="flex flex-wrap justify-end gap-2">
                {token.replacedBy === null && token.expiresAt > nowMs && (
                  <Button size="small" needs="rotateToken" aria-label={`Rotate ${token.name}`} onClick={() => setRotated(token)}>
                    Rotate
                  </Button>
                )}
              <ConfirmButton
                label="Revoke"
                needs="revokeToken"
                accessibleName={`Revoke ${token.name}`}
                title={`Revoke ${token.name}?`}
                confirm="Revoke it"
                act={() => revokeToken(token.metadata.id)}
                onDone={refresh}
              >
                <p>Programs that carry it are refused from now on, and their open streams end within five seconds. This cannot be taken back.</p>
              </ConfirmButton>
              </span>
            ),
          },
        ]}
      />
      {creates && <CreateToken tenantId={tenant.id} onClose={() => setCreates(false)} />}
      {rotated !== null && <RotateToken token={rotated} onClose={() => setRotated(null)} />}
    </>
  );
}

function Expiry({ token }: { token: ApiToken }) {
  if (token.expiresAt < useNowMs()) return <span className="text-failed">{token.replacedBy === null ? "expired" : "replaced, and ended"}</span>;
  return (
    <>
      {token.replacedBy !== null && <span className="text-ink-soft">replaced, counts until </span>}
      <LocalTime instantMs={token.expiresAt} />
    </>
  );
}
