/** What can be done with the runs that are chosen, or with everything that matches. Counts what it will touch first. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { cancelRuns, replayRuns, type RunAct } from "../../services/runs";
import { actOnMatches, COUNTED_MAX, REPLAYED_MAX, runCountQuery, type RunFilter } from "../../services/runSearch";
import type { RunStatus } from "../../services/schemas";
import { ConfirmButton } from "../ConfirmButton";
import { useMay } from "../may";

const ACTS = {
  cancel: {
    verb: "Cancel",
    done: "cancelled",
    effect: "What waits does not start, and workers are told to stop what runs.",
    takes: ["QUEUED", "RUNNING"] satisfies RunStatus[],
    max: COUNTED_MAX,
  },
  replay: {
    verb: "Replay",
    done: "replayed",
    effect: "They run again from the start, with the input they had.",
    takes: ["COMPLETED", "FAILED", "CANCELLED"] satisfies RunStatus[],
    max: REPLAYED_MAX,
  },
} as const;

export function RunActsBar({
  tenantId,
  chosen,
  filter,
  onDone,
}: {
  tenantId: string;
  chosen: ReadonlySet<string>;
  filter: RunFilter;
  onDone: () => void;
}) {
  const [report, setReport] = useState("");
  const may = useMay();
  const props = { tenantId, filter, onDone: (words: string) => { setReport(words); onDone(); } };
  if (!may("cancel") && !may("replay")) return null;
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2 text-sm">
      <span className="text-ink-soft">{chosen.size === 0 ? "All that match:" : `${chosen.size.toLocaleString()} chosen:`}</span>
      {(["cancel", "replay"] as const).map((act) =>
        chosen.size === 0 ? <OnMatches key={act} act={act} {...props} /> : <OnChosen key={act} act={act} chosen={chosen} {...props} />,
      )}
      <span role="status" className="text-ink-soft">
        {report}
      </span>
    </div>
  );
}

interface ActProps {
  readonly act: RunAct;
  readonly tenantId: string;
  readonly onDone: (report: string) => void;
}

function OnChosen({ act, tenantId, chosen, onDone }: ActProps & { chosen: ReadonlySet<string> }) {
  const client = useQueryClient();
  const { verb, done, effect } = ACTS[act];
  const many = runsInWords(chosen.size);
  return (
    <ConfirmButton
      label={`${verb}…`}
      accessibleName={`${verb} the chosen runs`}
      needs={act}
      title={`${verb} the chosen runs?`}
      confirm={`${verb} ${chosen.size.toLocaleString()}`}
      act={async () => {
        const touched = await (act === "cancel" ? cancelRuns : replayRuns)(tenantId, [...chosen]);
        void client.invalidateQueries({ queryKey: ["runs"] });
        onDone(`${touched.length.toLocaleString()} ${done}.`);
      }}
    >
      <p>
        {many} will be {done}. {effect}
      </p>
    </ConfirmButton>
  );
}

function OnMatches({ act, tenantId, filter, onDone }: ActProps & { filter: RunFilter }) {
  const client = useQueryClient();
  const [times, setTimes] = useState(0);
  const { verb, done, effect, takes, max } = ACTS[act];
  const named = filter.query.statuses;
  const statuses = named.length === 0 ? takes : takes.filter((status) => named.includes(status));
  const meant = { ...filter, query: { ...filter.query, statuses } };
  const counted = useQuery({ ...runCountQuery(tenantId, meant, times), enabled: times > 0 && statuses.length > 0 });
  const count = counted.data;
  const touched = count === undefined ? null : Math.min(count, max);
  return (
    <ConfirmButton
      label={`${verb}…`}
      accessibleName={`${verb} all that match`}
      needs={act}
      title={`${verb} all that match?`}
      confirm={touched === null ? verb : `${verb} ${touched.toLocaleString()}`}
      disabled={statuses.length === 0}
      canConfirm={touched !== null && touched > 0}
      onOpen={() => setTimes(times + 1)}
      act={async () => {
        const ids = await actOnMatches(tenantId, act, meant);
        void client.invalidateQueries({ queryKey: ["runs"] });
        onDone(`${ids.length.toLocaleString()} ${done}.`);
      }}
    >
      {counted.error !== null && <p role="alert" className="text-failed">{counted.error.message}</p>}
      <p>
        {count === undefined
          ? "Counting…"
          : count === 0
            ? "No run that matches can be " + done + "."
            : `${runsInWords(count)}${count >= COUNTED_MAX ? " or more" : ""} that the search finds (${statuses.join(", ").toLowerCase()}) will be ${done}.`}{" "}
        {count !== undefined && count > 0 && effect}
      </p>
      {count !== undefined && count > max && <p>At most {max.toLocaleString()} at once: the newest of them now, and the others when you do it again.</p>}
    </ConfirmButton>
  );
}

function runsInWords(count: number): string {
  return `${count.toLocaleString()} ${count === 1 ? "run" : "runs"}`;
}
