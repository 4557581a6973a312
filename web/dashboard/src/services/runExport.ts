/** A list of runs as a file: read to its end page by page, as CSV or JSON. */
import { fetchRuns, type RunListing } from "./runSearch";
import type { TaskSummary } from "./schemas";

export const EXPORTED_MAX = 100_000;
const PER_PAGE = 1_000;
/** Payloads are large; the engine reads a page of them at once. */
const PER_PAGE_WITH_PAYLOADS = 100;

export interface ExportChoice {
  readonly format: "csv" | "json";
  readonly withPayloads: boolean;
}

export interface Exported {
  readonly text: string;
  readonly type: string;
  readonly count: number;
  /** There are more than were read. */
  readonly isCut: boolean;
}

export async function exportRuns(
  tenantId: string,
  listing: RunListing,
  choice: ExportChoice,
  onProgress: (count: number) => void,
  signal: AbortSignal,
): Promise<Exported> {
  const limit = choice.withPayloads ? PER_PAGE_WITH_PAYLOADS : PER_PAGE;
  const rows: TaskSummary[] = [];
  let cursor: string | null = null;
  do {
    const page = await fetchRuns(tenantId, listing, { cursor, limit, withPayloads: choice.withPayloads }, signal);
    rows.push(...page.rows);
    onProgress(rows.length);
    cursor = page.nextCursor;
  } while (cursor !== null && rows.length < EXPORTED_MAX);
  const [text, type] =
    choice.format === "csv" ? [csvOf(rows, choice.withPayloads), "text/csv"] : [jsonOf(rows, choice.withPayloads), "application/json"];
  return { text, type, count: rows.length, isCut: cursor !== null };
}

function jsonOf(rows: readonly TaskSummary[], withPayloads: boolean): string {
  return JSON.stringify(rows.map((row) => recordOf(row, withPayloads)), null, 2);
}

export function csvOf(rows: readonly TaskSummary[], withPayloads: boolean): string {
  const records = rows.map((row) => {
    const { metadata, ...rest } = recordOf(row, withPayloads);
    return { ...rest, ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [`metadata.${key}`, value])) };
  });
  const columns = [...new Set(records.flatMap((record) => Object.keys(record)))];
  const lines = records.map((record) => columns.map((column) => cell((record as Record<string, unknown>)[column])).join(","));
  return [columns.map(cell).join(","), ...lines, ""].join("\r\n");
}

function recordOf(row: TaskSummary, withPayloads: boolean) {
  const instant = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    id: row.taskExternalId,
    run: row.workflowRunExternalId,
    name: row.displayName,
    status: row.status,
    workflow: row.workflowName,
    created: instant(row.createdAt),
    started: instant(row.startedAt),
    finished: instant(row.finishedAt),
    duration_ms: row.duration,
    attempt: row.attempt,
    idempotency_key: row.idempotencyKey,
    error: row.errorMessage,
    metadata: row.additionalMetadata,
    ...(withPayloads && { input: row.input, output: row.output }),
  };
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // A spreadsheet takes a text that begins so for a formula.
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
