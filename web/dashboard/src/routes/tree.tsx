/**
 * The pages and their addresses. `/runs/<id>` is a public address: other programs link to it.
 *
 * Every page but the login stands under the session route, which asks the engine who is there before anything else is
 * loaded. Pages beyond the overview are loaded when they are first visited.
 */
import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  Outlet,
  redirect,
  stringifySearchWith,
  type RouterHistory,
} from "@tanstack/react-router";

import { AppShell } from "../components/AppShell";
import { mayAs, RoleContext } from "../components/may";
import { ErrorNotice, Loading, Notice } from "../components/Notice";
import { MyInvites } from "../components/people/MyInvites";
import { SignOutButton } from "../components/people/SignOutButton";
import { sessionQuery, setupNeededQuery } from "../services/session";
import { lazyPage } from "./lazyPage";
import { LoginPage } from "./LoginPage";
import { OverviewPage } from "./OverviewPage";
import {
  alertsSearchSchema,
  auditSearchSchema,
  concurrencySearchSchema,
  errorsSearchSchema,
  eventsSearchSchema,
  loginSearchSchema,
  logsSearchSchema,
  namedSearchSchema,
  overviewSearchSchema,
  ofWorkflowSearchSchema,
  runSearchSchema,
  runsSearchSchema,
  streamsSearchSchema,
  upcomingSearchSchema,
  tracesSearchSchema,
  workersSearchSchema,
  workflowSearchSchema,
} from "./searches";

interface RouterContext {
  readonly queryClient: QueryClient;
}

const rootRoute = createRootRouteWithContext<RouterContext>()({
  component: Outlet,
  notFoundComponent: () => (
    <main>
      <Notice level="h1" title="There is no such page" action={<a className="text-accent underline" href="/">Go to the overview</a>} />
    </main>
  ),
});

const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/login",
  validateSearch: loginSearchSchema,
  beforeLoad: async ({ context, search }) => {
    const session = await context.queryClient.query({ ...sessionQuery, staleTime: "static" });
    if (session.kind === "signed-in") throw redirect({ href: search.next ?? "/" });
    if (await context.queryClient.query(setupNeededQuery)) throw redirect({ to: "/setup" });
  },
  component: LoginPage,
});

const setupRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/setup",
  beforeLoad: async ({ context }) => {
    if (!(await context.queryClient.query(setupNeededQuery))) throw redirect({ to: "/login", search: {} });
  },
  component: lazyPage(() => import("./SetupPage"), "SetupPage"),
});

const forgotPasswordRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/forgot-password",
  component: lazyPage(() => import("./ForgotPasswordPage"), "ForgotPasswordPage"),
});

const resetPasswordRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/reset-password",
  component: lazyPage(() => import("./ResetPasswordPage"), "ResetPasswordPage"),
});

/** Open to whoever has the link: signed in or not, and in no tenant yet. */
const inviteRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/invite",
  beforeLoad: async ({ context }) => {
    const session = await context.queryClient.query({ ...sessionQuery, staleTime: "static" });
    return { session: session.kind === "signed-in" ? { kind: session.kind, email: session.user?.email ?? null } : session };
  },
  component: lazyPage(() => import("./InvitePage"), "InvitePage"),
});

const sessionRoute = createRoute({
  getParentRoute: () => rootRoute,
  id: "session",
  beforeLoad: async ({ context, location }) => {
    const session = await context.queryClient.query({ ...sessionQuery, staleTime: "static" });
    if (session.kind === "signed-out") throw redirect({ to: "/login", search: { next: location.href } });
    return { session };
  },
  component: function SessionFrame() {
    const { session } = sessionRoute.useRouteContext();
    if (session.kind === "no-tenant") {
      return (
        <main>
          <MyInvites />
          <Notice level="h1" title="No tenant to show">
            <p>
              {session.email} is not a member of any tenant. An admin of one invites you, or whoever runs the engine lets you in with{" "}
              <code className="font-mono text-xs">broadaxe account add {session.email}</code>.
            </p>
            <SignOutButton />
          </Notice>
        </main>
      );
    }
    return (
      <RoleContext value={session.role}>
        <AppShell session={session}>
          <Outlet />
        </AppShell>
      </RoleContext>
    );
  },
});

/** What the run list understood when it stood at `/`: such a link still leads to the runs that it meant. */
const RUN_LIST_KEYS = ["status", "workflow", "metadata", "window", "page"];

const overviewRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/",
  validateSearch: overviewSearchSchema,
  beforeLoad: ({ location }) => {
    const given = new URLSearchParams(location.searchStr);
    if (RUN_LIST_KEYS.some((key) => given.has(key))) throw redirect({ href: `/runs${location.searchStr}`, replace: true });
  },
  component: OverviewPage,
});

const runsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/runs",
  validateSearch: runsSearchSchema,
  component: lazyPage(() => import("./RunsPage"), "RunsPage"),
});

const errorsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/errors",
  validateSearch: errorsSearchSchema,
  component: lazyPage(() => import("./ErrorsPage"), "ErrorsPage"),
});

const runRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/runs/$id",
  validateSearch: runSearchSchema,
  component: lazyPage(() => import("./RunPage"), "RunPage"),
});

const compareRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/runs/$id/compare/$other",
  component: lazyPage(() => import("./ComparePage"), "ComparePage"),
});

const workersRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/workers",
  validateSearch: workersSearchSchema,
  component: lazyPage(() => import("./WorkersPage"), "WorkersPage"),
});

const workerRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/workers/$id",
  component: lazyPage(() => import("./WorkerPage"), "WorkerPage"),
});

const workflowsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/workflows",
  validateSearch: namedSearchSchema,
  component: lazyPage(() => import("./WorkflowsPage"), "WorkflowsPage"),
});

const workflowRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/workflows/$id",
  validateSearch: workflowSearchSchema,
  component: lazyPage(() => import("./WorkflowPage"), "WorkflowPage"),
});

const cronsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/crons",
  validateSearch: ofWorkflowSearchSchema,
  component: lazyPage(() => import("./CronsPage"), "CronsPage"),
});

const scheduledRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/scheduled",
  validateSearch: ofWorkflowSearchSchema,
  component: lazyPage(() => import("./ScheduledPage"), "ScheduledPage"),
});

const eventsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/events",
  validateSearch: eventsSearchSchema,
  component: lazyPage(() => import("./EventsPage"), "EventsPage"),
});

const filtersRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/filters",
  component: lazyPage(() => import("./FiltersPage"), "FiltersPage"),
});

const webhooksRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/webhooks",
  component: lazyPage(() => import("./WebhooksPage"), "WebhooksPage"),
});

const streamsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/streams",
  validateSearch: streamsSearchSchema,
  component: lazyPage(() => import("./StreamsPage"), "StreamsPage"),
});

const rateLimitsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/rate-limits",
  validateSearch: namedSearchSchema,
  component: lazyPage(() => import("./RateLimitsPage"), "RateLimitsPage"),
});

const concurrencyRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/concurrency",
  validateSearch: concurrencySearchSchema,
  component: lazyPage(() => import("./ConcurrencyPage"), "ConcurrencyPage"),
});

const upcomingRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/upcoming",
  validateSearch: upcomingSearchSchema,
  component: lazyPage(() => import("./UpcomingPage"), "UpcomingPage"),
});

const logsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/logs",
  validateSearch: logsSearchSchema,
  component: lazyPage(() => import("./LogsPage"), "LogsPage"),
});

const tracesRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/traces",
  validateSearch: tracesSearchSchema,
  component: lazyPage(() => import("./TracesPage"), "TracesPage"),
});

const traceRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/traces/$id",
  component: lazyPage(() => import("./TracePage"), "TracePage"),
});

const tokensRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/settings/tokens",
  validateSearch: namedSearchSchema,
  component: lazyPage(() => import("./TokensPage"), "TokensPage"),
});

const settingsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/settings",
  beforeLoad: ({ context: { session } }) => {
    const reads = session.kind === "signed-in" && mayAs(session.role, "listTokens");
    throw redirect({ to: reads ? "/settings/tokens" : "/settings/tenant", replace: true });
  },
});

const membersRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/settings/members",
  component: lazyPage(() => import("./MembersPage"), "MembersPage"),
});

const tenantRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/settings/tenant",
  component: lazyPage(() => import("./TenantPage"), "TenantPage"),
});

const limitsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/settings/limits",
  component: lazyPage(() => import("./LimitsPage"), "LimitsPage"),
});

const auditRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/settings/audit",
  validateSearch: auditSearchSchema,
  component: lazyPage(() => import("./AuditPage"), "AuditPage"),
});

const alertsRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/settings/alerts",
  validateSearch: alertsSearchSchema,
  component: lazyPage(() => import("./AlertsPage"), "AlertsPage"),
});

const accountRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/settings/account",
  component: lazyPage(() => import("./AccountPage"), "AccountPage"),
});

const clusterRoute = createRoute({
  getParentRoute: () => sessionRoute,
  path: "/settings/cluster",
  component: lazyPage(() => import("./ClusterPage"), "ClusterPage"),
});

const routeTree = rootRoute.addChildren([
  loginRoute,
  inviteRoute,
  setupRoute,
  forgotPasswordRoute,
  resetPasswordRoute,
  sessionRoute.addChildren([
    overviewRoute,
    runsRoute,
    errorsRoute,
    runRoute,
    compareRoute,
    workersRoute,
    workerRoute,
    workflowsRoute,
    workflowRoute,
    cronsRoute,
    scheduledRoute,
    eventsRoute,
    filtersRoute,
    webhooksRoute,
    streamsRoute,
    rateLimitsRoute,
    concurrencyRoute,
    upcomingRoute,
    logsRoute,
    tracesRoute,
    traceRoute,
    settingsRoute,
    tokensRoute,
    membersRoute,
    tenantRoute,
    limitsRoute,
    alertsRoute,
    auditRoute,
    clusterRoute,
    accountRoute,
  ]),
]);

/** A list of one is written as that one, which every schema of a list understands: `?status=FAILED`. */
const stringifySearch = stringifySearchWith((value: unknown) => {
  const only: unknown = Array.isArray(value) && value.length === 1 ? value[0] : undefined;
  return typeof only === "string" && !isJson(only) ? only : JSON.stringify(value);
}, JSON.parse);

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function makeRouter(queryClient: QueryClient, history?: RouterHistory) {
  return createRouter({
    routeTree,
    context: { queryClient },
    ...(history === undefined ? {} : { history }),
    stringifySearch,
    defaultPreload: "intent",
    scrollRestoration: true,
    defaultPendingComponent: () => <Loading label="Loading…" />,
    defaultErrorComponent: ({ error, reset }) => (
      <ErrorNotice
        error={error instanceof Error ? error : new Error("The page failed for an unknown reason.")}
        onRetry={() => {
          reset();
          window.location.reload();
        }}
      />
    ),
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
