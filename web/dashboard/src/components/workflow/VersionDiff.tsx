/** What one version of a workflow says differently from another: their definitions, line by line. */
import { useQuery } from "@tanstack/react-query";
import { diffLines } from "diff";

import type { WorkflowVersion } from "../../services/schemas";
import { workflowVersionQuery } from "../../services/workflows";
import { ErrorNotice, Loading } from "../Notice";
import { Card, CardHeader } from "../ui/card";
import { cn } from "../ui/classes";

/** Equal lines that are shown round a difference. */
const AROUND = 3;

const LOOKS = {
  added: { sign: "+", look: "bg-completed-soft text-completed", spoken: "added" },
  removed: { sign: "−", look: "bg-failed-soft text-failed", spoken: "removed" },
  same: { sign: " ", look: "text-ink-soft", spoken: "" },
} as const;

export function VersionDiff({ version, workflowId, otherId }: { version: WorkflowVersion; workflowId: string; otherId: string }) {
  const other = useQuery(workflowVersionQuery(workflowId, otherId));
  return (
    <Card aria-label="Difference">
      <CardHeader title={`What version ${version.order} changed${other.data === undefined ? "" : ` since ${other.data.order}`}`} />
      {other.data === undefined ? (
        other.error ? <ErrorNotice error={other.error} onRetry={() => void other.refetch()} /> : <Loading label="Loading the other version…" />
      ) : (
        <Lines before={textOf(other.data)} after={textOf(version)} />
      )}
    </Card>
  );
}

function Lines({ before, after }: { before: string; after: string }) {
  const lines = linesOf(before, after);
  if (lines.length === 0) return <p className="px-4 py-6 text-sm text-ink-soft">They say the same.</p>;
  return (
    <ol aria-label="Lines" className="overflow-x-auto py-2 font-mono text-xs leading-relaxed">
      {lines.map((line, index) =>
        line === null ? (
          <li key={index} className="px-4 text-ink-soft" aria-label="lines that are the same">
            ⋯
          </li>
        ) : (
          <li key={index} className={cn("px-4 break-all whitespace-pre-wrap", LOOKS[line.kind].look)}>
            <span aria-hidden>{LOOKS[line.kind].sign} </span>
            <span className="sr-only">{LOOKS[line.kind].spoken} </span>
            {line.text}
          </li>
        ),
      )}
    </ol>
  );
}

interface Line {
  readonly kind: keyof typeof LOOKS;
  readonly text: string;
}

/** The changed lines with a few round them; null stands for lines that are left out. Nothing for equal texts. */
export function linesOf(before: string, after: string): readonly (Line | null)[] {
  const parts = diffLines(before, after);
  if (parts.every((part) => !part.added && !part.removed)) return [];
  return parts.flatMap((part, index): (Line | null)[] => {
    const kind = part.added ? "added" : part.removed ? "removed" : "same";
    const lines = part.value.replace(/\n$/, "").split("\n").map((text): Line => ({ kind, text }));
    if (kind !== "same") return lines;
    const head = index === 0 ? [] : lines.slice(0, AROUND);
    const tail = index === parts.length - 1 ? [] : lines.slice(-AROUND);
    return head.length + tail.length >= lines.length ? lines : [...head, null, ...tail];
  });
}

/** Ids of tasks are new in every version and say nothing of it. */
function textOf(version: WorkflowVersion): string {
  const said = { ...version.workflowConfig, input_json_schema: version.inputJsonSchema };
  return JSON.stringify(said, (key, value: unknown) => (key === "id" ? undefined : value), 2);
}
