/** Makes a rate limit, or changes how many units one gives out and how often. */
import { useState } from "react";

import { putRateLimit, type RateLimit } from "../services/limits";
import { FormDialog } from "./FormDialog";
import { Field, Input } from "./ui/field";

export function RateLimitDialog({ tenantId, limit, onClose }: { tenantId: string; limit: RateLimit | null; onClose: () => void }) {
  const [key, setKey] = useState(limit?.key ?? "");
  const [units, setUnits] = useState(limit === null ? "" : String(limit.limitValue));
  const [window, setWindow] = useState(limit?.window ?? "1m");
  const isWhole = /^\d+$/.test(units.trim());
  return (
    <FormDialog
      title={limit === null ? "Create a rate limit" : `Change ${limit.key}`}
      onClose={onClose}
      problems={{
        key: key === "" ? "Give it a key." : null,
        limit: isWhole ? null : "Give a whole number, zero or more.",
        window: window.trim() === "" ? "Say how long, for example 1m." : null,
      }}
      act={() => putRateLimit(tenantId, { key, limit: Number(units), window: window.trim() })}
      submit="Save"
      submitting="Saving…"
      touches={["rate-limits"]}
    >
      {(problemAt) => (
        <>
          <Field label="Key" error={problemAt("key")}>
            {(props) => <Input {...props} disabled={limit !== null} value={key} onChange={(event) => setKey(event.target.value)} />}
          </Field>
          <Field label="Units" hint="How many are given out in each window. A higher number counts from the next refill." error={problemAt("limit")}>
            {(props) => <Input {...props} inputMode="numeric" value={units} onChange={(event) => setUnits(event.target.value)} />}
          </Field>
          <Field label="Window" hint="A duration such as 1s, 5m or 24h." error={problemAt("window")}>
            {(props) => <Input {...props} value={window} onChange={(event) => setWindow(event.target.value)} />}
          </Field>
          <p className="text-xs text-ink-soft">Code that declares this limit with other figures changes it again when it runs.</p>
        </>
      )}
    </FormDialog>
  );
}
