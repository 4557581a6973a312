/** The frame of every signed-in page: mark, navigation, tenant, and who is signed in. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useLocation, useRouter } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { engineVersionQuery, signOut, type SignedIn } from "../services/session";
import { AxeMark } from "./AxeMark";
import { Button } from "./ui/button";
import { cn } from "./ui/classes";

const PAGES = [
  { to: "/", label: "Runs", below: "/runs/" },
  { to: "/workflows", label: "Workflows", below: "/workflows/" },
  { to: "/workers", label: "Workers", below: "/workers/" },
] as const;

export function AppShell({ session, children }: { session: SignedIn; children: ReactNode }) {
  const version = useQuery(engineVersionQuery).data;
  const path = useLocation({ select: (location) => location.pathname });
  return (
    <div className="flex min-h-dvh flex-col">
      <a
        href="#content"
        className="absolute -top-12 left-2 z-10 rounded-md bg-accent px-3 py-2 text-on-accent focus:top-2"
      >
        Skip to content
      </a>
      <header className="border-b border-line bg-card">
        <div className="mx-auto flex max-w-7xl flex-wrap items-center gap-x-6 gap-y-1 px-4 py-2">
          <Link to="/" className="flex items-center gap-2 text-base font-semibold tracking-tight">
            <AxeMark className="size-7" />
            Broadaxe
          </Link>
          <nav aria-label="Main" className="order-last flex w-full gap-1 sm:order-none sm:w-auto">
            {PAGES.map((page) => (
              <Link
                key={page.to}
                to={page.to}
                activeOptions={{ exact: true, includeSearch: false }}
                className={cn(
                  "rounded-md px-2.5 py-1.5 text-sm",
                  path === page.to || path.startsWith(page.below)
                    ? "bg-accent-soft font-medium text-ink"
                    : "text-ink-soft hover:bg-sunken hover:text-ink",
                )}
              >
                {page.label}
              </Link>
            ))}
          </nav>
          <div className="ml-auto flex items-center gap-3 text-sm text-ink-soft">
            <span title={`Tenant ${session.tenant.id}`}>{session.tenant.name}</span>
            {session.user !== null && <span className="hidden md:inline">{session.user.email}</span>}
            {!session.authDisabled && <SignOutButton />}
          </div>
        </div>
      </header>
      <main id="content" tabIndex={-1} className="mx-auto w-full max-w-7xl flex-1 px-4 py-6 outline-none">
        {children}
      </main>
      <footer className="mx-auto w-full max-w-7xl px-4 py-4 text-xs text-ink-soft">
        Broadaxe{version !== undefined && ` · API ${version}`}
        {session.authDisabled && " · authentication is off: everybody who can open this page is the administrator"}
      </footer>
    </div>
  );
}

function SignOutButton() {
  const client = useQueryClient();
  const router = useRouter();
  const [failed, setFailed] = useState(false);

  async function leave(): Promise<void> {
    try {
      await signOut(client);
    } catch {
      setFailed(true);
      return;
    }
    await router.navigate({ to: "/login" });
  }

  return (
    <Button variant="ghost" onClick={() => void leave()}>
      {failed ? "Sign out failed, try again" : "Sign out"}
    </Button>
  );
}
