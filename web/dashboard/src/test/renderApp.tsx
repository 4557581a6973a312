import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";

import { makeQueryClient } from "../queries";
import { makeRouter } from "../routes/tree";
import { sessionQuery } from "../services/session";

/** The whole dashboard at one address, as `main.tsx` starts it. */
export function renderApp(address: string) {
  const queryClient = makeQueryClient(() => {
    queryClient.removeQueries({ queryKey: sessionQuery.queryKey });
    void router.invalidate();
  });
  const router = makeRouter(queryClient, createMemoryHistory({ initialEntries: [address] }));
  const user = userEvent.setup();
  render(
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  );
  return { user, router, queryClient };
}
