/** What a list is narrowed to, each with a button that takes it away. */
import { EVERY_RUN, filterTerms, type RunQuery } from "../../search/grammar";
import { Button } from "../ui/button";

export function ActiveFilters({ query, onChange }: { query: RunQuery; onChange: (query: RunQuery) => void }) {
  const terms = filterTerms(query);
  if (terms.length === 0) return null;
  return (
    <ul aria-label="Active filters" className="mb-3 flex flex-wrap items-center gap-1.5 text-xs">
      {terms.map(({ text, without }) => (
        <li key={text}>
          <button
            type="button"
            aria-label={`Remove ${text}`}
            onClick={() => onChange(without)}
            className="inline-flex max-w-80 items-center gap-1.5 rounded-full border border-line bg-sunken px-2.5 py-1 hover:border-accent"
          >
            <span className="truncate font-mono">{text}</span>
            <span aria-hidden="true">✕</span>
          </button>
        </li>
      ))}
      {query.anyMetadata && <li className="text-ink-soft">any of the metadata will do</li>}
      {query.worker !== null && (
        <li className="text-ink-soft">of a worker, its newest 10,000 tasks of the time range are looked at</li>
      )}
      <li>
        <Button size="small" variant="ghost" onClick={() => onChange(EVERY_RUN)}>
          Clear
        </Button>
      </li>
    </ul>
  );
}
