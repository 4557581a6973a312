/**
 * The query client: how calls are retried, and what happens when the engine says the session is over.
 */
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";

import { ApiError, isForbidden } from "./services/http";
import { sessionQuery } from "./services/session";

const RETRIES_MAX = 2;

export function makeQueryClient(onSessionOver: () => void): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        // A refused session call has nothing further to ask: asking again would never end.
        if (isForbidden(error) && query.queryKey[0] !== sessionQuery.queryKey[0]) onSessionOver();
      },
    }),
    mutationCache: new MutationCache({
      onError: (error) => {
        if (isForbidden(error)) onSessionOver();
      },
    }),
    defaultOptions: {
      queries: {
        // The stream of changes tells what is new; a page that was out of sight asks again by itself.
        refetchOnWindowFocus: false,
        // What the engine refused once it refuses again; only silence and overload are worth another try.
        retry: (failures, error) =>
          failures < RETRIES_MAX && error instanceof ApiError && (error.status === 0 || error.status >= 500),
      },
    },
  });
}
