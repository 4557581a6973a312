/** How many log lines of each level there were over time; a span chosen in it is handed on. */
import { useQuery } from "@tanstack/react-query";

import { logPointsQuery, type TenantLogFilter } from "../../services/tenantLogs";
import { formatLocal } from "../../time/format";
import { ErrorNotice, Loading } from "../Notice";
import { Card } from "../ui/card";
import type { PlotSpan } from "./Plot";
import { TimeChart, type Series } from "./TimeChart";
import { useRefreshed } from "./useRefreshed";

const inLines = (value: number) => value.toLocaleString();
const LEVELS: readonly Series[] = [
  { key: "ERROR", label: "ERROR", color: "--failed", format: inLines },
  { key: "WARN", label: "WARN", color: "--cancelled", format: inLines },
  { key: "INFO", label: "INFO", color: "--running", format: inLines },
  { key: "DEBUG", label: "DEBUG", color: "--queued", format: inLines },
];

export function LogHistogram({
  tenantId,
  filter,
  changes,
  onChoose,
}: {
  tenantId: string;
  filter: TenantLogFilter;
  /** Another one when there are other lines. */
  changes: unknown;
  onChoose: (span: PlotSpan) => void;
}) {
  const counts = useQuery(logPointsQuery(tenantId, filter));
  useRefreshed(changes, () => void counts.refetch());
  if (counts.data === undefined) {
    return <Card>{counts.error ? <ErrorNotice error={counts.error} onRetry={() => void counts.refetch()} /> : <Loading label="Loading the chart…" />}</Card>;
  }
  const { results, countedSince } = counts.data;
  const [first, second] = results;
  return (
    <TimeChart
      title="Lines over time"
      kind="bars"
      series={filter.levels.length === 0 ? LEVELS : LEVELS.filter(({ key }) => filter.levels.some((level) => level === key))}
      points={results.map(({ time, ...values }) => ({ atMs: time, values }))}
      widthMs={first === undefined || second === undefined ? 60_000 : second.time - first.time}
      hint="Drag over the chart to see the lines of a time."
      onChoose={onChoose}
      note={countedSince !== null && <span>There are more lines than are counted: those before {formatLocal(countedSince)} are not.</span>}
    />
  );
}
