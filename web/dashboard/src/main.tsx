import "./index.css";

import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { makeQueryClient } from "./queries";
import { makeRouter } from "./routes/tree";
import { sessionQuery } from "./services/session";

const queryClient = makeQueryClient(() => {
  // Asking again who is there sends people to the login page when the answer is "nobody".
  queryClient.removeQueries({ queryKey: sessionQuery.queryKey });
  void router.invalidate();
});
const router = makeRouter(queryClient);

const container = document.getElementById("root");
if (container === null) throw new Error("index.html has no #root element");

createRoot(container).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
