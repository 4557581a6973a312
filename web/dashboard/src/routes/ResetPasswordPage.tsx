/** What the link for a forgotten password opens. Its secret stands behind the `#`, which no browser sends to a server. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { useState, type SyntheticEvent } from "react";

import { Refusal } from "../components/Notice";
import { EntryField, EntryFrame, textOf } from "../components/people/EntryForm";
import { Button } from "../components/ui/button";
import { resetPassword } from "../services/account";
import { useTitle } from "./useTitle";

export function ResetPasswordPage() {
  useTitle("New password");
  const client = useQueryClient();
  const secret = useRouter().state.location.hash;
  const [isSame, setIsSame] = useState(true);
  const setting = useMutation({
    mutationFn: (password: string) => resetPassword(secret, password),
    // Whoever was signed in here is not any more.
    onSuccess: () => client.removeQueries(),
  });

  function onSubmit(event: SyntheticEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const same = textOf(form, "password") === textOf(form, "again");
    setIsSame(same);
    if (same) setting.mutate(textOf(form, "password"));
  }

  if (setting.isSuccess) {
    return (
      <EntryFrame title="Password changed">
        <p role="status" className="mt-4 text-sm">
          {setting.data.email} has a new password, and is signed out everywhere.
        </p>
        <Link to="/login" search={{}} className="mt-6 block text-center text-sm text-accent underline">
          Sign in
        </Link>
      </EntryFrame>
    );
  }
  return (
    <EntryFrame title="Choose a new password">
      <form className="mt-6 space-y-4" onSubmit={onSubmit}>
        <EntryField
          label="New password"
          name="password"
          type="password"
          autoComplete="new-password"
          hint="8 to 64 characters, among them an upper-case letter, a lower-case letter and a digit."
        />
        <EntryField label="New password again" name="again" type="password" autoComplete="new-password" />
        {!isSame && (
          <p role="alert" className="text-sm text-failed">
            These two are not the same.
          </p>
        )}
        {setting.error !== null && <Refusal error={setting.error} />}
        <Button type="submit" variant="primary" className="h-9 w-full" disabled={setting.isPending}>
          Set the password
        </Button>
      </form>
      <Link to="/forgot-password" className="mt-6 block text-center text-sm text-accent underline">
        Ask for another link
      </Link>
    </EntryFrame>
  );
}
