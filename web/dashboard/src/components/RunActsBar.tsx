/** What can be done with the runs that are chosen, or with everything that matches the filter. Says how many first. */
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { actOnMatches, cancelRuns, replayRuns, type RunAct, type RunFilter, type StatusCounts } from "../services/runs";
import { RUN_STATUSES, type RunStatus } from "../services/schemas";
import { ConfirmButton } from "./ConfirmButton";

/** What an act by filter takes when the filter names no status. */
const TAKES: Readonly<Record<RunAct, readonly RunStatus[]>> = {
  cancel: ["QUEUED", "RUNNING"],
  replay: ["COMPLETED", "FAILED", "CANCELLED"],
};
const WORDS = {
  cancel: { verb: "Cancel", done: "cancelled", effect: "What waits does not start, and workers are told to stop what runs." },
  replay: { verb: "Replay", done: "replayed", effect: "They run again from the start, with the input they had." },
} as const;

export function RunActsBar({
  tenantId,
  chosen,
  filter,
  counts,
  onDone,
}: {
  tenantId: string;
  chosen: ReadonlySet<string>;
  filter: RunFilter;
  counts: StatusCounts | null;
  onDone: () => void;
}) {
  const client = useQueryClient();
  const [report, setReport] = useState("");

  async function act(verb: RunAct): Promise<void> {
    const ids = [...chosen];
    const touched =
      ids.length === 0
        ? await actOnMatches(tenantId, verb, filter)
        : await (verb === "cancel" ? cancelRuns : replayRuns)(tenantId, ids);
    setReport(`${touched.length.toLocaleString()} ${WORDS[verb].done}.`);
    void client.invalidateQueries({ queryKey: ["runs"] });
    onDone();
  }

  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2 text-sm">
      <span className="text-ink-soft">{chosen.size === 0 ? "All that match:" : `${chosen.size} chosen:`}</span>
      {(["cancel", "replay"] as const).map((verb) => {
        const matching = matches(filter, counts, verb);
        const many = chosen.size === 0 ? matching : chosen.size;
        return (
          <ConfirmButton
            key={verb}
            label={`${WORDS[verb].verb}…`}
            accessibleName={chosen.size === 0 ? `${WORDS[verb].verb} all that match` : `${WORDS[verb].verb} the chosen runs`}
            title={chosen.size === 0 ? `${WORDS[verb].verb} all that match?` : `${WORDS[verb].verb} the chosen runs?`}
            confirm={many === null ? WORDS[verb].verb : `${WORDS[verb].verb} ${many.toLocaleString()}`}
            disabled={many === 0}
            act={() => act(verb)}
          >
            <p>
              {many === null ? "Every run that matches" : `${many.toLocaleString()} ${many === 1 ? "run" : "runs"}`}
              {chosen.size === 0 ? ` that the filter finds (${TAKES[verb].join(", ").toLowerCase()})` : ""} will be {WORDS[verb].done}.{" "}
              {WORDS[verb].effect}
            </p>
          </ConfirmButton>
        );
      })}
      <span role="status" className="text-ink-soft">
        {report}
      </span>
    </div>
  );
}

function matches(filter: RunFilter, counts: StatusCounts | null, verb: RunAct): number | null {
  if (counts === null) return null;
  const statuses = filter.statuses.length > 0 ? filter.statuses : TAKES[verb];
  return RUN_STATUSES.filter((status) => statuses.includes(status)).reduce((sum, status) => sum + counts[status], 0);
}
