import { useInfiniteQuery } from "@tanstack/react-query";

import { CodeBlock } from "../components/CodeBlock";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { Ago } from "../components/Times";
import { Card, CardHeader } from "../components/ui/card";
import { membersQuery } from "../services/tenants";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

export function MembersPage() {
  useTitle("Members");
  const { tenant, user, role } = useSession();
  const members = useInfiniteQuery(membersQuery(tenant.id));
  return (
    <>
      <PageHeader title="Members" docs="cli#broadaxe-account" />
      <p className="mb-4 text-sm text-ink-soft">
        Who may open {tenant.name}. Your role here is {role}; the list is shown to owners and admins.
      </p>
      <PagedTable
        label="Members"
        query={members}
        keyOf={(member) => member.metadata.id}
        empty={<Notice title="Nobody belongs to this tenant" />}
        columns={[
          {
            title: "Person",
            cell: ({ user: person }) => (
              <>
                {person.email}
                {person.email === user?.email && <span className="ml-2 text-xs font-normal text-ink-soft">you</span>}
              </>
            ),
          },
          { title: "Name", cell: ({ user: person }) => person.name ?? "–" },
          { title: "Role", cell: (member) => member.role },
          { title: "Joined", cell: (member) => <Ago instantMs={member.metadata.createdAt} /> },
        ]}
      />
      <Card className="mt-6">
        <CardHeader title="Let somebody in" />
        <div className="space-y-3 p-4 text-sm">
          <p>
            Whoever runs the engine lets people in, gives them another role, or takes their membership away, on its command line. Roles are
            VIEWER, MEMBER, ADMIN and OWNER.
          </p>
          <CodeBlock wraps label="command" text={`broadaxe account add bob@example.com --tenant ${tenant.slug} --role MEMBER`} />
          <p className="text-ink-soft">
            Invitations, roles changed on this page, single sign-on, an audit log and alerts are not there yet. They will have their place
            here.
          </p>
        </div>
      </Card>
    </>
  );
}
