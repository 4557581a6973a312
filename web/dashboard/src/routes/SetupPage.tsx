/** The first start: whoever has the code from the engine's log makes the first account and tenant. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import type { SyntheticEvent } from "react";

import { Refusal } from "../components/Notice";
import { EntryField, EntryFrame, textOf } from "../components/people/EntryForm";
import { Button } from "../components/ui/button";
import { setUp } from "../services/session";
import { slugOf } from "../services/tenants";
import { useTitle } from "./useTitle";

export function SetupPage() {
  useTitle("Set up");
  const router = useRouter();
  const client = useQueryClient();
  const setting = useMutation({
    mutationFn: (form: FormData) => {
      const tenantName = textOf(form, "tenantName");
      return setUp(client, {
        code: textOf(form, "code"),
        name: textOf(form, "name"),
        email: textOf(form, "email"),
        password: textOf(form, "password"),
        tenantName,
        tenantSlug: slugOf(tenantName),
      });
    },
    onSuccess: () => router.navigate({ href: "/" }),
  });

  function onSubmit(event: SyntheticEvent<HTMLFormElement>): void {
    event.preventDefault();
    setting.mutate(new FormData(event.currentTarget));
  }

  return (
    <EntryFrame title="Set up Broadaxe">
      <p className="mt-3 text-sm text-ink-soft">
        Nobody can sign in yet. The engine wrote a code into its log when it started: whoever has it makes the first account and the first tenant.
      </p>
      <form className="mt-6 space-y-4" onSubmit={onSubmit}>
        <EntryField label="Code from the log" name="code" autoComplete="one-time-code" spellCheck={false} maxLength={64} />
        <EntryField label="Your name" name="name" autoComplete="name" required={false} maxLength={255} />
        <EntryField label="E-mail" name="email" type="email" autoComplete="username" maxLength={254} />
        <EntryField
          label="Choose a password"
          name="password"
          type="password"
          autoComplete="new-password"
          hint="8 to 64 characters, among them an upper-case letter, a lower-case letter and a digit."
        />
        <EntryField label="Name of the tenant" name="tenantName" hint="What your workflows belong to: a team, a product. It can be renamed." maxLength={255} />
        {setting.error !== null && <Refusal error={setting.error} />}
        <Button type="submit" variant="primary" className="h-9 w-full" disabled={setting.isPending}>
          {setting.isPending ? "Setting up…" : "Set up"}
        </Button>
      </form>
    </EntryFrame>
  );
}
