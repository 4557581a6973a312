/** What a run says of itself, by name: the last word of each. */
import { useQuery } from "@tanstack/react-query";

import { valuesQuery } from "../../services/runFacts";
import { JsonViewer } from "../JsonViewer";
import { ErrorNotice, Loading } from "../Notice";

export function RunValues({ tenantId, runId }: { tenantId: string; runId: string }) {
  const values = useQuery(valuesQuery(tenantId, runId));
  if (values.data === undefined) {
    return values.error ? (
      <ErrorNotice error={values.error} onRetry={() => void values.refetch()} />
    ) : (
      <Loading label="Loading the values…" />
    );
  }
  const { rows } = values.data;
  const said = Object.fromEntries(rows.filter((row) => row.isShown).map((row) => [row.name, row.value ?? null]));
  const large = rows.filter((row) => !row.isShown).map((row) => row.name);
  return (
    <>
      {(large.length === 0 || rows.length > large.length) && (
        <JsonViewer label="Run values" value={said} empty="This run has said nothing of itself." />
      )}
      {large.length > 0 && (
        <p className="border-t border-line px-4 py-2 text-xs text-ink-soft">
          Too large to be shown here, and read with <code className="font-mono">broadaxe runs values</code>: {large.join(", ")}
        </p>
      )}
    </>
  );
}
