/** Asks for a link that sets another password, and says who makes one where the engine sends no mails. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { SyntheticEvent } from "react";

import { ErrorNotice, Loading, Refusal } from "../components/Notice";
import { EntryField, EntryFrame, textOf } from "../components/people/EntryForm";
import { Button } from "../components/ui/button";
import { askForReset } from "../services/account";
import { resetByMailQuery } from "../services/session";
import { useTitle } from "./useTitle";

export function ForgotPasswordPage() {
  useTitle("Forgotten password");
  const byMail = useQuery(resetByMailQuery);
  return (
    <EntryFrame title="Forgotten password">
      {byMail.isPending && <Loading label="Loading…" />}
      {byMail.isError && <ErrorNotice error={byMail.error} onRetry={() => void byMail.refetch()} />}
      {byMail.data === true && <AskForm />}
      {byMail.data === false && (
        <p className="mt-4 text-sm">
          This server sends no mail. Whoever runs it makes a link for you, with which you set another password:{" "}
          <code className="font-mono text-xs">broadaxe account reset you@example.com</code>
        </p>
      )}
      <Link to="/login" search={{}} className="mt-6 block text-center text-sm text-accent underline">
        Back to the sign-in
      </Link>
    </EntryFrame>
  );
}

function AskForm() {
  const asking = useMutation({ mutationFn: askForReset });

  function onSubmit(event: SyntheticEvent<HTMLFormElement>): void {
    event.preventDefault();
    asking.mutate(textOf(new FormData(event.currentTarget), "email"));
  }

  if (asking.isSuccess) {
    return (
      <p role="status" className="mt-4 text-sm">
        If there is an account with the address {asking.variables}, a mail with a link is on its way. The link counts for an hour.
      </p>
    );
  }
  return (
    <form className="mt-6 space-y-4" onSubmit={onSubmit}>
      <EntryField label="E-mail" name="email" type="email" autoComplete="username" maxLength={254} />
      {asking.error !== null && <Refusal error={asking.error} />}
      <Button type="submit" variant="primary" className="h-9 w-full" disabled={asking.isPending}>
        Mail me a link
      </Button>
    </form>
  );
}
