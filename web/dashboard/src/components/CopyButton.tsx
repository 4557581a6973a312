import { useEffect, useState } from "react";

import { Button } from "./ui/button";

const CONFIRMATION_MS = 2_000;

type Outcome = "idle" | "copied" | "failed";
const WORDS: Readonly<Record<Exclude<Outcome, "idle">, string>> = { copied: "Copied", failed: "Cannot copy" };

export function CopyButton({
  label,
  text,
  words = "Copy",
}: {
  label: string;
  /** What is costly to write down is written when it is asked for. */
  text: string | (() => string);
  /** On the button. */
  words?: string;
}) {
  const [outcome, setOutcome] = useState<Outcome>("idle");

  useEffect(() => {
    if (outcome === "idle") return;
    const timer = setTimeout(() => setOutcome("idle"), CONFIRMATION_MS);
    return () => clearTimeout(timer);
  }, [outcome]);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : text());
      setOutcome("copied");
    } catch {
      // The clipboard is refused on plain http from another host, and when the person says no.
      setOutcome("failed");
    }
  }

  return (
    <Button size="small" aria-label={`Copy ${label.toLowerCase()}`} onClick={() => void copy()}>
      <span aria-live="polite">{outcome === "idle" ? words : WORDS[outcome]}</span>
    </Button>
  );
}
