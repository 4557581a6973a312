// What the edge can do just now. It is asked again now and then, since models come and go.

import { useEffect, useState } from "react";
import { fetchConfig, sentenceOf, type Config } from "../services/wire";

/** How often a page that is looked at asks whether the model came or went. */
const LOOK_EVERY_MS = 15_000;

export interface Configured {
  config: Config | null;
  /** Why there is none. */
  problem: string | null;
}

export function useConfig(): Configured {
  const [configured, setConfigured] = useState<Configured>({ config: null, problem: null });
  useEffect(() => {
    let current = true;
    const look = () =>
      fetchConfig().then(
        (config) => current && setConfigured({ config, problem: null }),
        // What was known stays known while the edge is away.
        (error: unknown) => current && setConfigured((known) => (known.config === null ? { config: null, problem: sentenceOf(error) } : known)),
      );
    const lookIfSeen = () => {
      if (document.visibilityState === "visible") void look();
    };
    void look();
    const timer = setInterval(lookIfSeen, LOOK_EVERY_MS);
    document.addEventListener("visibilitychange", lookIfSeen);
    return () => {
      current = false;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", lookIfSeen);
    };
  }, []);
  return configured;
}
