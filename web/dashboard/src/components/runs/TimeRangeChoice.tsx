/** When: one of the usual windows, ever, or from one instant to another in the zone that was chosen. */
import { useState } from "react";

import type { TimeChoice } from "../../routes/runsAddress";
import { RUN_WINDOWS, WINDOW_LABELS, type RunWindow } from "../../routes/searches";
import { formatLocal } from "../../time/format";
import { instantOf, useZone, wallTimeOf, zoneName } from "../../time/zone";
import { FormDialog } from "../FormDialog";
import { Button } from "../ui/button";
import { Field, Input, Select } from "../ui/field";

export interface Between {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

const LABELS: Readonly<Record<RunWindow, string>> = { ...WINDOW_LABELS, all: "All time" };

export function TimeRangeChoice({
  choice,
  between,
  onWindow,
  onBetween,
}: {
  choice: TimeChoice;
  between: Between;
  onWindow: (choice: RunWindow) => void;
  onBetween: (between: Between) => void;
}) {
  const [asks, setAsks] = useState(false);
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Select
        aria-label="Time range"
        className="w-auto"
        value={choice}
        onChange={(event) => {
          const chosen = RUN_WINDOWS.find((one) => one === event.target.value);
          if (chosen === undefined) setAsks(true);
          else onWindow(chosen);
        }}
      >
        {RUN_WINDOWS.map((one) => (
          <option key={one} value={one}>
            {LABELS[one]}
          </option>
        ))}
        <option value="between">From – to…</option>
      </Select>
      {choice === "between" && (
        <Button onClick={() => setAsks(true)} className="h-auto min-h-8 whitespace-normal">
          {between.from === undefined ? "The beginning" : formatLocal(Date.parse(between.from))} –{" "}
          {between.to === undefined ? "now" : formatLocal(Date.parse(between.to))}
        </Button>
      )}
      {asks && <BetweenDialog between={between} onClose={() => setAsks(false)} onBetween={onBetween} />}
    </div>
  );
}

function BetweenDialog({ between, onClose, onBetween }: { between: Between; onClose: () => void; onBetween: (between: Between) => void }) {
  const zone = useZone();
  const wall = (instant: string | undefined) => (instant === undefined ? "" : wallTimeOf(Date.parse(instant), zone));
  const [from, setFrom] = useState(wall(between.from));
  const [to, setTo] = useState(wall(between.to));
  const fromMs = from === "" ? null : instantOf(from, zone);
  const toMs = to === "" ? null : instantOf(to, zone);
  return (
    <FormDialog
      title="Runs that were made"
      onClose={onClose}
      problems={{
        from: from === "" && to === "" ? "Give at least one of the two." : null,
        to: fromMs !== null && toMs !== null && toMs <= fromMs ? "This is not after the beginning." : null,
      }}
      act={() => Promise.resolve()}
      submit="Show"
      submitting="Showing…"
      onDone={() => {
        onBetween({
          from: fromMs === null ? undefined : new Date(fromMs).toISOString(),
          to: toMs === null ? undefined : new Date(toMs).toISOString(),
        });
        onClose();
      }}
    >
      {(problemAt) => (
        <>
          <Field label="From" hint={`In ${zoneName(zone)}. Empty: from the beginning.`} error={problemAt("from")}>
            {(props) => <Input {...props} type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />}
          </Field>
          <Field label="To" hint="Empty: until now." error={problemAt("to")}>
            {(props) => <Input {...props} type="datetime-local" value={to} onChange={(event) => setTo(event.target.value)} />}
          </Field>
        </>
      )}
    </FormDialog>
  );
}
