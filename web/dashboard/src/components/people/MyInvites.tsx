/** Invites for whoever is signed in; nothing where there are none. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";

import { acceptInvite, myInvitesQuery, rejectInvite, type Invite } from "../../services/members";
import { sessionQuery } from "../../services/session";
import { ConfirmButton } from "../ConfirmButton";
import { Refusal } from "../Notice";
import { Button } from "../ui/button";
import { Card, CardHeader } from "../ui/card";

export function MyInvites() {
  const invites = useQuery(myInvitesQuery).data ?? [];
  if (invites.length === 0) return null;
  return (
    <Card className="mb-6" aria-label="Invites for you">
      <CardHeader title="You are invited" />
      <ul>
        {invites.map((invite) => (
          <MyInvite key={invite.metadata.id} invite={invite} />
        ))}
      </ul>
    </Card>
  );
}

function MyInvite({ invite }: { invite: Invite }) {
  const client = useQueryClient();
  const router = useRouter();
  const refresh = () => void client.invalidateQueries({ queryKey: myInvitesQuery.queryKey });
  const accepting = useMutation({
    mutationFn: () => acceptInvite(invite.metadata.id),
    onSettled: refresh,
    onSuccess: () => {
      client.removeQueries({ queryKey: sessionQuery.queryKey });
      void router.invalidate();
    },
  });
  return (
    <li className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2 text-sm last:border-0">
      <span className="min-w-0 break-words">
        <span className="font-medium">{invite.tenantName}</span>{" "}
        <span className="text-ink-soft">
          as {invite.role}, by {invite.invitedBy}
        </span>
      </span>
      <span className="flex gap-2">
        <Button size="small" variant="primary" disabled={accepting.isPending} onClick={() => accepting.mutate()}>
          Accept
        </Button>
        <ConfirmButton
          needs={null}
          label="Reject"
          accessibleName={`Reject the invite to ${invite.tenantName}`}
          variant="secondary"
          title={`Reject the invite to ${invite.tenantName}?`}
          confirm="Reject it"
          act={() => rejectInvite(invite.metadata.id)}
          onDone={refresh}
        >
          <p>It does not count any more. To let you in after all, {invite.invitedBy} has to invite you again.</p>
        </ConfirmButton>
      </span>
      {accepting.error !== null && <Refusal error={accepting.error} className="basis-full" />}
    </li>
  );
}
