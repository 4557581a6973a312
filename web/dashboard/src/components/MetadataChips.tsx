/** A run's additional metadata as small chips; the whole text is in the title. */

const CHIPS_MAX = 3;

export function MetadataChips({ metadata }: { metadata: Readonly<Record<string, unknown>> }) {
  const entries = Object.entries(metadata);
  if (entries.length === 0) return null;
  const rest = entries.slice(CHIPS_MAX);
  return (
    <ul className="flex flex-wrap gap-1" aria-label="Metadata">
      {entries.slice(0, CHIPS_MAX).map(([key, value]) => (
        <li
          key={key}
          title={`${key}: ${metadataText(value)}`}
          className="max-w-52 truncate rounded bg-sunken px-1.5 py-0.5 text-xs text-ink-soft"
        >
          {key.replace(/^hatchet__/, "")}: <span className="text-ink">{metadataText(value)}</span>
        </li>
      ))}
      {rest.length > 0 && (
        <li
          title={rest.map(([key, value]) => `${key}: ${metadataText(value)}`).join("\n")}
          className="rounded bg-sunken px-1.5 py-0.5 text-xs text-ink-soft"
        >
          +{rest.length}
        </li>
      )}
    </ul>
  );
}

/** A value as text, as filters compare it. */
export function metadataText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
