/** How far a search in payloads went, and the way further back. */
import type { LookedAt } from "../../services/pages";
import { LocalTime } from "../Times";
import { Button } from "../ui/button";

export function SearchedPayloads({
  lookedAt: { runs, isCut, oldest },
  isFetching,
  onFurther,
  onAgain,
}: {
  lookedAt: LookedAt;
  isFetching: boolean;
  /** Looks through what was made before that instant. */
  onFurther: (beforeMs: number) => void;
  onAgain: () => void;
}) {
  const count = runs.toLocaleString();
  return (
    <div role="status" className="mb-3 flex flex-wrap items-center gap-2 rounded-md border border-line bg-sunken px-3 py-2 text-xs">
      <span className="min-w-0 flex-1 basis-64">
        {isCut && oldest !== null ? (
          <>
            Looked into the payloads of the newest {count} {runs === 1 ? "run" : "runs"} that match everything else, back to{" "}
            <LocalTime instantMs={oldest} />. Older ones may match too.
          </>
        ) : (
          <>
            Looked into the payloads of {runs === 1 ? "the only run" : `all ${count} runs`} that match{runs === 1 && "es"} everything else.
          </>
        )}{" "}
        This list does not change by itself.
      </span>
      {isCut && oldest !== null && (
        <Button size="small" disabled={isFetching} onClick={() => onFurther(oldest)}>
          Look further back
        </Button>
      )}
      <Button size="small" disabled={isFetching} onClick={onAgain}>
        {isFetching ? "Looking…" : "Look again"}
      </Button>
    </div>
  );
}
