/** Keeps what a page shows up to date while it is seen. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { heardOfWorkers } from "../services/workers";
import { followChanges, type LinkState } from "./changes";
import { Refresher } from "./refresh";

/** Follows nothing where there is no engine: null. */
export function useLive(tenantId: string | null): LinkState {
  const client = useQueryClient();
  const [state, setState] = useState<LinkState>("connecting");
  useEffect(() => {
    if (tenantId === null) return;
    const refresher = new Refresher(client);
    const stop = refresher.start();
    const leave = followChanges(tenantId, {
      onState: setState,
      onChanges: (changes) => {
        heardOfWorkers(client, changes.heartbeats);
        refresher.take(changes);
      },
    });
    return () => {
      leave();
      stop();
    };
  }, [client, tenantId]);
  return state;
}
