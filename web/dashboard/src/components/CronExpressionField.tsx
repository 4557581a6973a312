/** When a cron ticks. While one types, the engine says what is wrong with the expression, or when it comes true next. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { cronTicksQuery, type CronTicks } from "../services/triggers";
import { useZone, zoneName } from "../time/zone";
import { LocalTime } from "./Times";
import { Field, Input } from "./ui/field";

const AFTER_MS = 300;

export function CronExpressionField({
  tenantId,
  expression,
  problem,
  onChange,
}: {
  tenantId: string;
  expression: string;
  problem: string | null;
  onChange: (expression: string) => void;
}) {
  const [asked, setAsked] = useState(expression);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(expression), AFTER_MS);
    return () => clearTimeout(timer);
  }, [expression]);
  const isAsked = asked.trim() !== "";
  const ticks = useQuery({ ...cronTicksQuery(tenantId, [asked.trim()]), enabled: isAsked, placeholderData: keepPreviousData, retry: false });
  const refusal = isAsked && asked === expression && ticks.error !== null ? ticks.error.message : null;
  return (
    <div>
      <Field
        label="Expression"
        error={problem ?? refusal}
        hint="Five or six fields, in UTC unless it begins with a zone: CRON_TZ=Europe/Berlin 0 9 * * *"
      >
        {(props) => <Input {...props} className="font-mono" value={expression} onChange={(event) => onChange(event.target.value)} />}
      </Field>
      {isAsked && refusal === null && ticks.data?.[0] !== undefined && <Ticks of={ticks.data[0]} />}
    </div>
  );
}

function Ticks({ of: { timeZone, ticks } }: { of: CronTicks }) {
  const zone = useZone();
  const isElsewhere = timeZone !== zoneName(zone);
  if (ticks.length === 0) return <p className="mb-3 text-sm text-ink-soft">It does not come again.</p>;
  return (
    <table aria-label="Next ticks" className="mb-3 w-full text-left text-xs">
      <thead className="text-ink-soft">
        <tr>
          <th scope="col" className="py-1 pr-3 font-medium">
            Next ticks in {zoneName(zone)}
          </th>
          {isElsewhere && (
            <th scope="col" className="py-1 font-medium">
              in {timeZone}
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {ticks.map((tick) => (
          <tr key={tick}>
            <td className="pr-3 tabular-nums">
              <LocalTime instantMs={tick} />
            </td>
            {isElsewhere && <td className="tabular-nums">{inZone(tick, timeZone)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function inZone(instantMs: number, timeZone: string): string {
  try {
    return new Date(instantMs).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium", timeZone });
  } catch {
    // The engine knows zones that this browser does not.
    return "–";
  }
}
