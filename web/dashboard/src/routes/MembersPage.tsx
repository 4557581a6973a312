import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { useMay } from "../components/may";
import { FormDialog } from "../components/FormDialog";
import { ErrorNotice, Loading, Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { InviteDialog } from "../components/people/InviteDialog";
import { InviteLink } from "../components/people/InviteLink";
import { RoleField } from "../components/people/RoleField";
import { Ago, LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Card, CardHeader } from "../components/ui/card";
import { changeRole, invitesQuery, membersQuery, removeMember, resendInvite, revokeInvite, type Invite, type Member } from "../services/members";
import type { Role } from "../services/roles";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

export function MembersPage() {
  useTitle("Members");
  const { tenant, user, role } = useSession();
  const client = useQueryClient();
  const members = useInfiniteQuery(membersQuery(tenant.id));
  const [invites, setInvites] = useState(false);
  const [changed, setChanged] = useState<Member | null>(null);
  const may = useMay();
  const manages = may("listMembers");

  function isOthersToChange(member: Member): boolean {
    return member.user.email !== user?.email && (member.role !== "OWNER" || role === "OWNER");
  }

  return (
    <>
      <PageHeader title="Members" docs="team#members">
        <Button variant="primary" needs="createInvite" onClick={() => setInvites(true)}>
          Invite somebody
        </Button>
      </PageHeader>
      <p className="mb-4 text-sm text-ink-soft">
        Who may open {tenant.name}. Your role here is {role}
        {manages ? "." : "; owners and admins see the list, and change it."}
      </p>
      <PagedTable
        label="Members"
        query={members}
        keyOf={(member) => member.metadata.id}
        empty={<Notice title="Nobody" />}
        columns={[
          {
            title: "Member",
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
          {
            title: "Change",
            isUntitled: true,
            cell: (member) =>
              isOthersToChange(member) && (
                <span className="flex flex-wrap justify-end gap-2">
                  <Button size="small" needs="changeMember" aria-label={`Change role of ${member.user.email}`} onClick={() => setChanged(member)}>
                    Change role
                  </Button>
                  <ConfirmButton
                    label="Remove"
                    needs="removeMember"
                    accessibleName={`Remove ${member.user.email}`}
                    title={`Remove ${member.user.email}?`}
                    confirm="Remove"
                    act={() => removeMember(tenant.id, member.metadata.id)}
                    onDone={() => void client.invalidateQueries({ queryKey: ["members"] })}
                  >
                    <p>They cannot open {tenant.name} any more, from now on. Their account and their other tenants stay.</p>
                  </ConfirmButton>
                </span>
              ),
          },
        ]}
      />
      {manages && <Invites tenantId={tenant.id} />}
      {invites && <InviteDialog tenantId={tenant.id} mayMakeOwners={role === "OWNER"} onClose={() => setInvites(false)} />}
      {changed !== null && <ChangeRole member={changed} tenantId={tenant.id} mayMakeOwners={role === "OWNER"} onClose={() => setChanged(null)} />}
    </>
  );
}

function ChangeRole({
  member,
  tenantId,
  mayMakeOwners,
  onClose,
}: {
  member: Member;
  tenantId: string;
  mayMakeOwners: boolean;
  onClose: () => void;
}) {
  const [role, setRole] = useState<Role>(member.role);
  return (
    <FormDialog
      title={`The role of ${member.user.email}`}
      onClose={onClose}
      problems={{ role: null }}
      act={() => changeRole(tenantId, member.metadata.id, role)}
      submit="Change"
      submitting="Changing…"
      touches={["members"]}
    >
      {(problemAt) => <RoleField role={role} onChange={setRole} mayMakeOwners={mayMakeOwners} problem={problemAt("role")} />}
    </FormDialog>
  );
}

function Invites({ tenantId }: { tenantId: string }) {
  const client = useQueryClient();
  const invites = useQuery(invitesQuery(tenantId));
  const [sent, setSent] = useState<Invite | null>(null);
  return (
    <Card className="mt-6" aria-label="Invites">
      <CardHeader title="Invites" />
      {invites.isPending && <Loading label="Loading invites…" />}
      {invites.isError && <ErrorNotice error={invites.error} onRetry={() => void invites.refetch()} />}
      {invites.data?.length === 0 && <p className="p-4 text-sm text-ink-soft">Nobody is invited at the moment.</p>}
      <ul>
        {invites.data?.map((invite) => (
          <li key={invite.metadata.id} className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2 text-sm last:border-0">
            <span className="min-w-0 break-words">
              <span className="font-medium">{invite.email}</span>{" "}
              <span className="text-ink-soft">
                as {invite.role}, by {invite.invitedBy}, until <LocalTime instantMs={invite.expires} />
              </span>
            </span>
            <span className="flex gap-2">
              <Button size="small" needs="resendInvite" aria-label={`New link for ${invite.email}`} onClick={() => setSent(invite)}>
                New link
              </Button>
              <ConfirmButton
                label="Revoke"
                needs="revokeInvite"
                accessibleName={`Revoke the invite for ${invite.email}`}
                title={`Revoke the invite for ${invite.email}?`}
                confirm="Revoke"
                act={() => revokeInvite(tenantId, invite.metadata.id)}
                onDone={() => void client.invalidateQueries({ queryKey: ["invites"] })}
              >
                <p>Its link does not let them in any more.</p>
              </ConfirmButton>
            </span>
          </li>
        ))}
      </ul>
      {sent !== null && (
        <FormDialog
          title={`A new link for ${sent.email}?`}
          onClose={() => setSent(null)}
          problems={{}}
          act={() => resendInvite(tenantId, sent.metadata.id)}
          submit="Make a new link"
          submitting="Making it…"
          touches={["invites"]}
          done={(made) => ({ title: `Invite for ${made.email}`, content: <InviteLink invite={made} /> })}
        >
          {() => <p className="text-sm">It counts for seven days. The link they have now does not count any more.</p>}
        </FormDialog>
      )}
    </Card>
  );
}
