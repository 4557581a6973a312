/** The frame of every signed-in page: mark, navigation, tenant, and who is signed in. */
import { useQuery } from "@tanstack/react-query";
import { Link, useLocation, type LinkProps } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import type { LinkState } from "../live/changes";
import { useLive } from "../live/useLive";
import { engineVersionQuery, type SignedIn } from "../services/session";
import { useZone } from "../time/zone";
import { AxeMark } from "./AxeMark";
import { DisplayChoices } from "./DisplayChoices";
import { useMay, type Act } from "./may";
import { Shortcuts } from "./palette/Shortcuts";
import { SignOutButton } from "./people/SignOutButton";
import { ReplicaMark } from "./ReplicaMark";
import { TenantSwitch } from "./TenantSwitch";
import { Button } from "./ui/button";
import { cn } from "./ui/classes";

interface SectionPage {
  readonly to: LinkProps["to"] & string;
  readonly label: string;
  /** What the addresses under it begin with. */
  readonly below: string | null;
  /** Whoever may not read what it shows is not led to it. */
  readonly needs?: Act;
}

const SECTIONS: readonly { readonly title: string | null; readonly pages: readonly SectionPage[] }[] = [
  {
    title: null,
    pages: [
      { to: "/", label: "Overview", below: null },
      { to: "/runs", label: "Runs", below: "/runs/" },
      { to: "/errors", label: "Errors", below: "/errors/" },
      { to: "/workflows", label: "Workflows", below: "/workflows/" },
      { to: "/workers", label: "Workers", below: "/workers/" },
      { to: "/logs", label: "Logs", below: "/logs/" },
      { to: "/traces", label: "Traces", below: "/traces/" },
    ],
  },
  {
    title: "Triggers",
    pages: [
      { to: "/crons", label: "Crons", below: "/crons/" },
      { to: "/scheduled", label: "Scheduled", below: "/scheduled/" },
      { to: "/events", label: "Events", below: "/events/" },
      { to: "/filters", label: "Filters", below: "/filters/" },
      { to: "/webhooks", label: "Webhooks", below: "/webhooks/" },
      { to: "/streams", label: "Streams", below: "/streams/" },
    ],
  },
  {
    title: "Flow",
    pages: [
      { to: "/concurrency", label: "Concurrency", below: "/concurrency/" },
      { to: "/rate-limits", label: "Rate limits", below: "/rate-limits/" },
      { to: "/upcoming", label: "Time to come", below: "/upcoming/" },
    ],
  },
  {
    title: "Settings",
    pages: [
      { to: "/settings/tokens", label: "API tokens", below: "/settings/tokens/", needs: "listTokens" },
      { to: "/settings/members", label: "Members", below: "/settings/members/", needs: "listMembers" },
      { to: "/settings/tenant", label: "Tenant", below: "/settings/tenant/" },
      { to: "/settings/alerts", label: "Alerts", below: "/settings/alerts/" },
      { to: "/settings/limits", label: "Limits", below: "/settings/limits/" },
      { to: "/settings/audit", label: "Audit log", below: "/settings/audit/", needs: "listAuditEntries" },
      { to: "/settings/cluster", label: "Cluster", below: "/settings/cluster/" },
      { to: "/settings/account", label: "My account", below: "/settings/account/" },
    ],
  },
];

export function AppShell({ session, children }: { session: SignedIn; children: ReactNode }) {
  const version = useQuery(engineVersionQuery).data;
  const zone = useZone();
  const [isOpen, setIsOpen] = useState(false);
  const { file } = session;
  const may = useMay();
  const sections = SECTIONS.map(({ title, pages }) => ({ title, pages: pages.filter(({ needs }) => needs === undefined || may(needs)) }));
  const link = useLive(file === null ? session.tenant.id : null);
  return (
    <div className="flex min-h-dvh flex-col">
      <a
        href="#content"
        className="absolute -top-12 left-2 z-10 rounded-md bg-accent px-3 py-2 text-on-accent focus:top-2"
      >
        Skip to content
      </a>
      <header className="border-b border-line bg-card">
        <div className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2">
          <Link to="/" className="flex items-center gap-2 text-base font-semibold tracking-tight">
            <AxeMark className="size-7" />
            Broadaxe
          </Link>
          {file === null ? (
            <Button
              className="order-last lg:hidden"
              aria-expanded={isOpen}
              aria-controls="navigation"
              onClick={() => setIsOpen(!isOpen)}
            >
              Menu
            </Button>
          ) : (
            <p role="note" className="min-w-0 flex-1 basis-52 text-sm break-words text-ink-soft">
              You look at the file <span className="font-medium text-ink">{file}</span>. There is no engine behind it, and nothing can be changed.
            </p>
          )}
          <div className="ml-auto flex items-center gap-3 text-sm text-ink-soft">
            {file === null && (
              <>
                <LinkMark state={link} />
                {session.hasReadReplica && <ReplicaMark />}
                <Shortcuts tenantId={session.tenant.id} pages={sections.flatMap(({ pages }) => pages)} />
              </>
            )}
            <a href="/docs/" target="_blank" rel="noreferrer" className="hover:text-ink hover:underline">
              Docs
            </a>
            <TenantSwitch session={session} />
            {session.user !== null && (
              <Link to="/settings/account" className="hidden hover:text-ink hover:underline md:inline">
                {session.user.email}
              </Link>
            )}
            {!session.authDisabled && <SignOutButton variant="ghost" />}
          </div>
        </div>
      </header>
      <div className="flex flex-1 flex-col lg:flex-row">
        {file === null && <Navigation sections={sections} isOpen={isOpen} onChoose={() => setIsOpen(false)} />}
        <div className="flex min-w-0 flex-1 flex-col">
          {/* Another zone is another text in every time on the page: all of it is drawn again. */}
          <main key={zone} id="content" tabIndex={-1} className="mx-auto w-full max-w-7xl flex-1 px-4 py-6 outline-none">
            {children}
          </main>
          <footer className="mx-auto w-full max-w-7xl px-4 py-4 text-xs text-ink-soft">
            Broadaxe{version !== undefined && ` · API ${version}`}
            {session.hasReadReplica && " · lists are read from a replica"}
            {session.authDisabled && file === null && " · authentication is off: everybody who can open this page is the administrator"}
          </footer>
        </div>
      </div>
    </div>
  );
}

/** Says when what is shown may be old. */
function LinkMark({ state }: { state: LinkState }) {
  return (
    <span role="status" className="text-failed">
      {state === "away" && "The engine does not answer; this page goes on when it does"}
    </span>
  );
}

function Navigation({ sections, isOpen, onChoose }: { sections: typeof SECTIONS; isOpen: boolean; onChoose: () => void }) {
  const path = useLocation({ select: (location) => location.pathname });
  return (
    <nav
      id="navigation"
      aria-label="Main"
      className={cn("border-line bg-card px-2 py-3 lg:block lg:w-48 lg:shrink-0 lg:border-r", isOpen ? "block border-b" : "hidden")}
    >
      {sections.map((section) => (
        <div key={section.title ?? "main"} className="mb-3">
          {section.title !== null && <h2 className="px-2.5 py-1 text-xs font-medium text-ink-soft">{section.title}</h2>}
          <ul>
            {section.pages.map((page) => (
              <li key={page.to}>
                <Link
                  to={page.to}
                  activeOptions={{ exact: true, includeSearch: false }}
                  onClick={onChoose}
                  className={cn(
                    "block rounded-md px-2.5 py-1.5 text-sm",
                    path === page.to || (page.below !== null && path.startsWith(page.below))
                      ? "bg-accent-soft font-medium text-ink"
                      : "text-ink-soft hover:bg-sunken hover:text-ink",
                  )}
                >
                  {page.label}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      ))}
      <DisplayChoices />
    </nav>
  );
}
