import { getRouteApi } from "@tanstack/react-router";

import type { SignedIn } from "../services/session";

const sessionRoute = getRouteApi("/session");

/** The session of a page that is only shown to people who are signed in. */
export function useSession(): SignedIn {
  const { session } = sessionRoute.useRouteContext();
  if (session.kind !== "signed-in") throw new Error("useSession is for pages under the session route");
  return session;
}
