/** Makes the runs of a cron for ticks of the past, after saying how many there are. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { ApiError } from "../services/http";
import { backfillCron, backfillPreviewQuery, type BackfillPreview, type Cron } from "../services/triggers";
import { instantOf, useZone, wallTimeOf, zoneName } from "../time/zone";
import { FormDialog } from "./FormDialog";
import { LocalTime } from "./Times";
import { Field, Input } from "./ui/field";

/** The key under which each run of a backfill has its id. */
const BACKFILL_ID_KEY = "broadaxe__backfill_id";
const DAY_MS = 86_400_000;

interface BackfillDialogProps {
  readonly tenantId: string;
  readonly cron: Cron;
  /** When the dialog was opened: it proposes the day before. */
  readonly openedMs: number;
  readonly onClose: () => void;
}

export function BackfillDialog({ tenantId, cron, openedMs, onClose }: BackfillDialogProps) {
  const zone = useZone();
  const [since, setSince] = useState(() => wallTimeOf(openedMs - DAY_MS, zone));
  const [until, setUntil] = useState(() => wallTimeOf(openedMs, zone));
  const range = { sinceMs: instantOf(since, zone), untilMs: instantOf(until, zone) };
  const isRange = !Number.isNaN(range.sinceMs) && !Number.isNaN(range.untilMs);
  const preview = useQuery({ ...backfillPreviewQuery(tenantId, cron.metadata.id, range), enabled: isRange });
  const refusal = isRange && preview.error instanceof ApiError ? preview.error : null;
  const count = preview.data?.count ?? 0;
  const canMake = isRange && preview.data !== undefined && !preview.data.isTooMany && count > 0;
  const refusedAt = (name: "since" | "until") => (refusal?.field === name ? refusal.message : null);
  return (
    <FormDialog
      title={`Backfill ${cron.name ?? cron.cron}`}
      onClose={onClose}
      problems={{
        since: Number.isNaN(range.sinceMs) ? "Say where it begins." : refusedAt("since"),
        until: Number.isNaN(range.untilMs) ? "Say where it ends." : refusedAt("until"),
      }}
      act={() => backfillCron(tenantId, cron.metadata.id, range)}
      canSubmit={!isRange || refusal !== null || canMake}
      submit={canMake ? `Make ${runs(count)}` : "Make the runs"}
      submitting="Making the runs…"
      touches={["runs"]}
      done={(result) => ({
        title: `${runs(result.made)} made`,
        content: (
          <div className="space-y-2 text-sm">
            {result.skipped > 0 && (
              <p>
                {result.skipped} {result.skipped === 1 ? "tick has" : "ticks have"} no run: another run holds the idempotency key, or
                an expression of the workflow fails on the input.
              </p>
            )}
            <p>
              <Link
                to="/runs"
                search={{ metadata: [`${BACKFILL_ID_KEY}:${result.backfillId}`] }}
                className="text-accent underline"
              >
                Show the runs of this backfill
              </Link>
            </p>
          </div>
        ),
      })}
    >
      {(problemAt) => (
        <>
          <p className="mb-3 text-sm text-ink-soft">
            Each tick of this time gets a run of the newest version, whether or not it came then. The runs are told their tick, and the
            cron goes on as it was.
          </p>
          <Field label="From" hint={`In ${zoneName(zone)}.`} error={problemAt("since") ?? refusedAt("since")}>
            {(props) => <Input {...props} type="datetime-local" value={since} onChange={(event) => setSince(event.target.value)} />}
          </Field>
          <Field label="To" error={problemAt("until") ?? refusedAt("until")}>
            {(props) => <Input {...props} type="datetime-local" value={until} onChange={(event) => setUntil(event.target.value)} />}
          </Field>
          <p role="status" className="min-h-10 text-sm">
            {isRange && preview.data !== undefined && <Found preview={preview.data} />}
            {isRange && refusal?.field === null && refusal.message}
          </p>
        </>
      )}
    </FormDialog>
  );
}

function Found({ preview: { count, countMax, isTooMany, first, last } }: { preview: BackfillPreview }): ReactNode {
  if (first === null || last === null) return "The cron has no tick in this time.";
  const times = (
    <>
      <LocalTime instantMs={first} /> to <LocalTime instantMs={last} />
    </>
  );
  if (isTooMany) {
    return (
      <>
        More than {countMax} ticks. Make them in parts: the first {countMax} are from {times}.
      </>
    );
  }
  return (
    <>
      {count === 1 ? "1 tick, at " : `${count} ticks, `}
      {count === 1 ? <LocalTime instantMs={first} /> : times}.
    </>
  );
}

function runs(count: number): string {
  return count === 1 ? "1 run" : `${count} runs`;
}
