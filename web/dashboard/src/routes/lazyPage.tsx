/**
 * A page that is loaded when it is first visited, and again when that failed: an engine that is away for a moment must not
 * take the application with it. The router's own lazy component reloads the whole tab instead.
 */
import { useEffect, useState, type ComponentType } from "react";

import { ErrorNotice, Loading } from "../components/Notice";

const AGAIN_AFTER_MS = 2_000;

/** `name` is the page's export. What it is cannot be checked here: a page's type depends on the router's, and that on this. */
export function lazyPage(load: () => Promise<object>, name: string) {
  let loaded: ComponentType | null = null;

  async function preload(): Promise<void> {
    loaded ??= ((await load()) as Readonly<Record<string, ComponentType>>)[name] ?? null;
  }

  function LazyPage() {
    const [Page, setPage] = useState<ComponentType | null>(() => loaded);
    const [failures, setFailures] = useState(0);

    useEffect(() => {
      if (Page !== null) return;
      let isOver = false;
      let timer: ReturnType<typeof setTimeout> | undefined;
      preload()
        .then(() => {
          if (!isOver) setPage(() => loaded);
        })
        .catch(() => {
          timer = setTimeout(() => setFailures((count) => count + 1), AGAIN_AFTER_MS);
        });
      return () => {
        isOver = true;
        clearTimeout(timer);
      };
    }, [Page, failures]);

    if (Page !== null) return <Page />;
    if (failures > 0) {
      return (
        <ErrorNotice
          error={new Error("The engine does not answer, so this page could not be loaded yet. It is tried again.")}
          onRetry={() => setFailures((count) => count + 1)}
        />
      );
    }
    return <Loading label="Loading…" />;
  }
  // The router calls it when a link to the page is pointed at; what fails then is tried again at the visit.
  LazyPage.preload = () => preload().catch(() => undefined);
  return LazyPage;
}
