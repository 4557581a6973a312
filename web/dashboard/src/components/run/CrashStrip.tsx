/** What went wrong around the run's attempts, who took them up again and when, and what was kept. Nothing, if nothing did. */
import { useMemo, useState } from "react";

import { incidentsOf, type Incident, type IncidentKind } from "../../crash/incidents";
import type { RunDetails } from "../../services/schemas";
import { eventsByTask } from "../../timeline/segments";
import { formatDuration } from "../../time/format";
import { LocalTime } from "../Times";
import { Button } from "../ui/button";

const WORDS: Readonly<Record<IncidentKind, string>> = {
  "worker-lost": "the worker was lost",
  "cut-off": "the attempt was cut off from the engine",
  unconfirmed: "the worker never confirmed the attempt",
  "not-sent": "the attempt could not be sent to the worker",
};
/** So many are shown before the rest is asked for. */
const SHOWN = 3;

export function CrashStrip({
  details,
  nameOf,
  workerOf,
  isDurable,
}: {
  details: RunDetails;
  nameOf: (taskId: string) => string;
  workerOf: (workerId: string) => string;
  isDurable: (taskId: string) => boolean;
}) {
  const incidents = useMemo(() => incidentsOf(eventsByTask(details.taskEvents)), [details.taskEvents]);
  const [showsAll, setShowsAll] = useState(false);
  if (incidents.length === 0) return null;
  const shown = showsAll ? incidents : incidents.slice(0, SHOWN);
  return (
    <section aria-label="Interruptions" className="rounded-lg border border-cancelled bg-cancelled-soft px-4 py-2.5 text-sm text-ink">
      <h2 className="font-semibold">
        {incidents.length === 1 ? "One interruption" : `${incidents.length} interruptions`}, and what became of {incidents.length === 1 ? "it" : "them"}
      </h2>
      <ol className="mt-1 space-y-1">
        {shown.map((incident, index) => (
          <li key={index} data-testid="incident">
            <LocalTime instantMs={incident.at} />: <strong className="font-medium">{nameOf(incident.taskId)}</strong> –{" "}
            <span title={incident.reason}>{WORDS[incident.kind]}</span>
            {incident.workerId !== null && ` (${workerOf(incident.workerId)})`}; {resumed(incident, workerOf)}. Kept: {kept(incident, isDurable)}.
          </li>
        ))}
      </ol>
      {incidents.length > shown.length && (
        <Button size="small" className="mt-2" onClick={() => setShowsAll(true)}>
          Show all {incidents.length}
        </Button>
      )}
      <p className="mt-1 text-xs">
        Told from the history of the tasks. Restarts of the engine are not recorded with a run, only what they did to its attempts.
      </p>
    </section>
  );
}

function resumed(incident: Incident, workerOf: (workerId: string) => string): string {
  if (incident.resumedAt === null) return "no worker has begun with it again";
  const by = incident.resumedBy === null ? "" : ` by ${workerOf(incident.resumedBy)}`;
  return `picked up${by} after ${formatDuration(incident.resumedAt - incident.at)}`;
}

function kept(incident: Incident, isDurable: (taskId: string) => boolean): string {
  const parts = ["the input", "its retries (this costs none)"];
  if (incident.completedBefore > 0) {
    parts.push(incident.completedBefore === 1 ? "the output of 1 task" : `the outputs of ${incident.completedBefore} tasks`);
  }
  if (isDurable(incident.taskId)) parts.push("its durable log");
  return parts.join(", ");
}
