import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import type { ComponentProps, SyntheticEvent } from "react";

import { AxeMark } from "../components/AxeMark";
import { Button } from "../components/ui/button";
import { Card } from "../components/ui/card";
import { entryLinkQuery, signIn } from "../services/session";
import { useTitle } from "./useTitle";

const route = getRouteApi("/login");

export function LoginPage() {
  useTitle("Sign in");
  const { next } = route.useSearch();
  const router = useRouter();
  const client = useQueryClient();
  const isLinkPrinted = useQuery(entryLinkQuery).data ?? false;
  const login = useMutation({
    mutationFn: (credentials: { email: string; password: string }) => signIn(client, credentials),
    onSuccess: () => router.navigate({ href: next ?? "/" }),
  });

  function onSubmit(event: SyntheticEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    login.mutate({ email: textOf(form, "email"), password: textOf(form, "password") });
  }

  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <Card className="w-full max-w-sm p-8">
        <AxeMark className="mx-auto size-14" />
        <h1 className="mt-3 text-center text-xl font-semibold">Sign in to Broadaxe</h1>
        {isLinkPrinted && (
          <p className="mt-3 text-center text-sm text-ink-soft">
            Open the link that the engine printed when it started: it lets this browser in. Or sign in with a password.
          </p>
        )}
        <form className="mt-6 space-y-4" onSubmit={onSubmit}>
          <Field label="E-mail" name="email" type="email" autoComplete="username" />
          <Field label="Password" name="password" type="password" autoComplete="current-password" />
          {login.error !== null && (
            <p role="alert" className="text-sm text-failed">
              {login.error.message}
            </p>
          )}
          <Button type="submit" variant="primary" className="h-9 w-full" disabled={login.isPending}>
            {login.isPending ? "Signing in…" : "Sign in"}
          </Button>
        </form>
      </Card>
    </main>
  );
}

function Field({ label, ...input }: { label: string } & ComponentProps<"input">) {
  return (
    <label className="block text-sm font-medium">
      {label}
      <input required className="mt-1 h-9 w-full rounded-md border border-line-strong bg-card px-3 font-normal" {...input} />
    </label>
  );
}

function textOf(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}
