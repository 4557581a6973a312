/** What the list of workers and the page of one share. */
import { useQueryClient } from "@tanstack/react-query";

import type { Worker } from "../services/schemas";
import { setWorkerPaused } from "../services/workers";
import { ConfirmButton } from "./ConfirmButton";
import { cn } from "./ui/classes";

const LOOKS = {
  ACTIVE: { label: "Active", look: "bg-completed-soft text-completed" },
  PAUSED: { label: "Paused", look: "bg-cancelled-soft text-cancelled" },
  INACTIVE: { label: "Inactive", look: "bg-queued-soft text-queued" },
} as const;

export const WORKER_STATE_LABELS: Readonly<Record<Worker["status"], string>> = {
  ACTIVE: LOOKS.ACTIVE.label,
  PAUSED: LOOKS.PAUSED.label,
  INACTIVE: LOOKS.INACTIVE.label,
};

export function WorkerStatus({ status }: { status: Worker["status"] }) {
  return (
    <span data-testid="status" className={cn("rounded-full px-2.5 py-0.5 text-xs font-medium", LOOKS[status].look)}>
      {LOOKS[status].label}
    </span>
  );
}

export function PauseButton({ worker }: { worker: Worker }) {
  const client = useQueryClient();
  const isPaused = worker.status === "PAUSED";
  // Whether a worker that is away was paused is not told, so there is nothing to toggle.
  if (worker.status === "INACTIVE") return null;
  const verb = isPaused ? "Resume" : "Pause";
  const { used } = loadOf(worker);
  return (
    <ConfirmButton
      label={verb}
      needs="changeWorker"
      accessibleName={`${verb} ${worker.name}`}
      title={`${verb} ${worker.name}?`}
      confirm={`${verb} it`}
      act={() => setWorkerPaused(worker.metadata.id, !isPaused)}
      onDone={() => void client.invalidateQueries({ queryKey: ["workers"] })}
    >
      <p>
        {isPaused
          ? "It is given tasks again at once."
          : `It is given no new tasks until it is resumed. What it runs goes on; slots in use at the moment: ${used}.`}
      </p>
    </ConfirmButton>
  );
}

/** Slots of all kinds in use and in all; what is in use of a worker that is away is not known and counts as none. */
export function loadOf(worker: Worker): { readonly used: number; readonly limit: number } {
  const kinds = Object.values(worker.slotConfig);
  return {
    used: kinds.reduce((sum, { limit, available }) => sum + (available === null ? 0 : limit - available), 0),
    limit: kinds.reduce((sum, { limit }) => sum + limit, 0),
  };
}

/** How many slots are in use, to the eye; `name` says whose. */
export function SlotBar({ name, used, limit }: { name: string; used: number; limit: number }) {
  return (
    <div role="img" aria-label={`${name}: ${used} of ${limit} slots in use`} className="h-2 overflow-hidden rounded-full bg-sunken">
      <div
        className={used >= limit && limit > 0 ? "h-full bg-cancelled" : "h-full bg-running"}
        style={{ width: `${limit === 0 ? 0 : Math.min(100, (100 * used) / limit)}%` }}
      />
    </div>
  );
}

export function Labels({ worker }: { worker: Worker }) {
  if (worker.labels.length === 0) return <span className="text-ink-soft">none</span>;
  return (
    <ul className="flex flex-wrap gap-1">
      {worker.labels.map(({ key, value }) => (
        <li key={key} className="rounded-md bg-sunken px-1.5 py-0.5 font-mono text-xs break-all">
          {key}={value}
        </li>
      ))}
    </ul>
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
