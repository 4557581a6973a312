/**
 * What the link of an invite opens. Its secret stands behind the `#` of the address, which no browser sends to a server.
 * Whoever has no account makes one here and is in; whoever has one signs in first and comes back.
 */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useState, type SyntheticEvent } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { Loading, Refusal } from "../components/Notice";
import { CodeField, EntryField, EntryFrame, textOf } from "../components/people/EntryForm";
import { ProviderLinks } from "../components/people/ProviderLinks";
import { LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { acceptInvite, join, openInviteQuery, rejectByLink, ROLE_MEANS, type OpenInvite } from "../services/members";
import { asksForCode, chooseTenant, signIn, signOut } from "../services/session";
import { useTitle } from "./useTitle";

const route = getRouteApi("/invite");

export function InvitePage() {
  useTitle("Invite");
  const { session } = route.useRouteContext();
  const secret = useRouter().state.location.hash;
  const found = useQuery(openInviteQuery(secret));
  if (found.isPending) return <Loading label="Looking at the invite…" />;
  if (found.isError) {
    return (
      <EntryFrame title="This link lets nobody in">
        <Refusal error={found.error} className="mt-4" />
        <a className="mt-6 block text-center text-sm text-accent underline" href="/">
          Go to the console
        </a>
      </EntryFrame>
    );
  }
  return <Invited invite={found.data} secret={secret} signedInAs={session.kind === "signed-out" ? null : (session.email ?? null)} />;
}

function Invited({ invite, secret, signedInAs }: { invite: OpenInvite; secret: string; signedInAs: string | null }) {
  const client = useQueryClient();
  const router = useRouter();
  const isMe = signedInAs === invite.email;
  const isElse = signedInAs !== null && !isMe;

  async function enter(): Promise<void> {
    chooseTenant(client, invite.tenantId);
    await router.navigate({ href: "/" });
  }

  const entering = useMutation({
    mutationFn: async ({ name, password, code }: { name: string; password: string; code: string }) => {
      if (!isMe && !invite.hasAccount) return join(secret, name, password);
      if (!isMe) await signIn(client, { email: invite.email, password, code });
      return acceptInvite(invite.id);
    },
    onSuccess: enter,
  });
  const [isRejected, setIsRejected] = useState(false);
  const leaving = useMutation({ mutationFn: () => signOut(client), onSuccess: () => router.invalidate() });

  function onSubmit(event: SyntheticEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    entering.mutate({ name: textOf(form, "name"), password: textOf(form, "password"), code: textOf(form, "code") });
  }

  if (isRejected) {
    return (
      <EntryFrame title="Rejected">
        <p className="mt-4 text-center text-sm">The invite does not count any more.</p>
      </EntryFrame>
    );
  }
  const error = entering.error ?? leaving.error;
  return (
    <EntryFrame title={`Join ${invite.tenantName}`}>
      <p className="mt-3 text-sm text-ink-soft">
        {invite.invitedBy} invites <span className="font-medium text-ink">{invite.email}</span> as {invite.role}: {invite.role}{" "}
        {ROLE_MEANS[invite.role]}. The invite counts until <LocalTime instantMs={invite.expires} />.
      </p>
      {isElse ? (
        <div className="mt-6 space-y-4 text-sm">
          <p>You are signed in as {signedInAs}, and this invite is for somebody else.</p>
          <Button className="h-9 w-full" disabled={leaving.isPending} onClick={() => leaving.mutate()}>
            Sign out and go on
          </Button>
        </div>
      ) : (
        <form className="mt-6 space-y-4" onSubmit={onSubmit}>
          {!isMe && <input type="hidden" name="username" autoComplete="username" value={invite.email} readOnly />}
          {!isMe && !invite.hasAccount && <EntryField label="Your name" name="name" autoComplete="name" required={false} maxLength={255} />}
          {!isMe && (
            <EntryField
              label={invite.hasAccount ? "Your password" : "Choose a password"}
              name="password"
              type="password"
              autoComplete={invite.hasAccount ? "current-password" : "new-password"}
              {...(invite.hasAccount
                ? {}
                : { hint: "8 to 64 characters, among them an upper-case letter, a lower-case letter and a digit." })}
            />
          )}
          {asksForCode(error) && <CodeField />}
          {error !== null && <Refusal error={error} />}
          <Button type="submit" variant="primary" className="h-9 w-full" disabled={entering.isPending}>
            {isMe ? "Accept" : invite.hasAccount ? "Sign in and accept" : "Join"}
          </Button>
        </form>
      )}
      {/* Whoever comes back from there finds the invite by their address: its secret stays in this browser. */}
      {!isElse && !isMe && <ProviderLinks next="/" after=", then accept" />}
      {!isElse && (
        <ConfirmButton
          needs={null}
          label="Reject"
          size="regular"
          variant="secondary"
          className="mt-4 h-9 w-full"
          title={`Reject the invite to ${invite.tenantName}?`}
          confirm="Reject it"
          act={() => rejectByLink(secret)}
          onDone={() => setIsRejected(true)}
        >
          <p>It does not count any more. To let you in after all, {invite.invitedBy} has to invite you again.</p>
        </ConfirmButton>
      )}
    </EntryFrame>
  );
}
