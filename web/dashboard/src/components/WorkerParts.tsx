/** What the list of workers and the page of one share. */
import { useMutation, useQueryClient } from "@tanstack/react-query";

import type { Worker } from "../services/schemas";
import { setWorkerPaused } from "../services/workers";
import { Button } from "./ui/button";
import { cn } from "./ui/classes";

const LOOKS = {
  ACTIVE: { label: "Active", look: "bg-completed-soft text-completed" },
  PAUSED: { label: "Paused", look: "bg-cancelled-soft text-cancelled" },
  INACTIVE: { label: "Inactive", look: "bg-queued-soft text-queued" },
} as const;

export function WorkerStatus({ status }: { status: Worker["status"] }) {
  return (
    <span data-testid="status" className={cn("rounded-full px-2.5 py-0.5 text-xs font-medium", LOOKS[status].look)}>
      {LOOKS[status].label}
    </span>
  );
}

export function PauseButton({ worker }: { worker: Worker }) {
  const client = useQueryClient();
  const paused = worker.status === "PAUSED";
  const toggle = useMutation({
    mutationFn: () => setWorkerPaused(worker.metadata.id, !paused),
    onSettled: () => client.invalidateQueries({ queryKey: ["workers"] }),
  });
  // Whether a worker that is away was paused is not told, so there is nothing to toggle.
  if (worker.status === "INACTIVE") return null;
  return (
    <>
      <Button
        size="small"
        aria-label={`${paused ? "Resume" : "Pause"} ${worker.name}`}
        title={paused ? "Give it tasks again" : "Give it no new tasks; what is running goes on"}
        disabled={toggle.isPending}
        onClick={() => toggle.mutate()}
      >
        {paused ? "Resume" : "Pause"}
      </Button>
      {toggle.error !== null && (
        <span role="alert" className="block text-xs text-failed">
          {toggle.error.message}
        </span>
      )}
    </>
  );
}

const LANGUAGES: Readonly<Record<string, string>> = { PYTHON: "Python", TYPESCRIPT: "TypeScript", GOLANG: "Go", RUBY: "Ruby" };

export function runtimeOf({ runtimeInfo }: Worker): string {
  if (runtimeInfo === null) return "";
  const { language, languageVersion, sdkVersion } = runtimeInfo;
  const parts = [
    language === null ? null : [LANGUAGES[language] ?? language, languageVersion].filter(Boolean).join(" "),
    sdkVersion === null ? null : `SDK ${sdkVersion}`,
  ];
  return parts.filter(Boolean).join(" · ");
}
