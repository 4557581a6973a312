import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useRouter } from "@tanstack/react-router";
import { useState, type SyntheticEvent } from "react";

import { CodeField, EntryField, EntryFrame, textOf } from "../components/people/EntryForm";
import { ProviderLinks } from "../components/people/ProviderLinks";
import { Button } from "../components/ui/button";
import { asksForCode, entryLinkQuery, signIn, takeSignInProblem } from "../services/session";
import { useTitle } from "./useTitle";

const route = getRouteApi("/login");

export function LoginPage() {
  useTitle("Sign in");
  const { next } = route.useSearch();
  const router = useRouter();
  const client = useQueryClient();
  const [problem] = useState(takeSignInProblem);
  const [isCoded, setIsCoded] = useState(false);
  const isLinkPrinted = useQuery(entryLinkQuery).data ?? false;
  const login = useMutation({
    mutationFn: (credentials: { email: string; password: string; code: string }) => signIn(client, credentials),
    onSuccess: () => router.navigate({ href: next ?? "/" }),
  });

  // Once asked for, it stays: a wrong password may come in between.
  if (!isCoded && asksForCode(login.error)) setIsCoded(true);

  function onSubmit(event: SyntheticEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    login.mutate({ email: textOf(form, "email"), password: textOf(form, "password"), code: textOf(form, "code") });
  }

  return (
    <EntryFrame title="Sign in to Broadaxe">
        {isLinkPrinted && (
          <p className="mt-3 text-center text-sm text-ink-soft">
            Open the link that the engine printed when it started: it lets this browser in. Or sign in with a password.
          </p>
        )}
        {problem !== null && (
          <p role="alert" className="mt-4 text-sm break-words text-failed">
            You were not signed in: {problem}
          </p>
        )}
        <form className="mt-6 space-y-4" onSubmit={onSubmit}>
          <EntryField label="E-mail" name="email" type="email" autoComplete="username" />
          <EntryField label="Password" name="password" type="password" autoComplete="current-password" />
          {isCoded && <CodeField />}
          {login.error !== null && (
            <p role="alert" className="text-sm text-failed">
              {login.error.message}
            </p>
          )}
          <Button type="submit" variant="primary" className="h-9 w-full" disabled={login.isPending}>
            {login.isPending ? "Signing in…" : "Sign in"}
          </Button>
        </form>
        <ProviderLinks next={next ?? "/"} />
        <Link to="/forgot-password" className="mt-6 block text-center text-sm text-accent underline">
          Forgotten your password?
        </Link>
    </EntryFrame>
  );
}
