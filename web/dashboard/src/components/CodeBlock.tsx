/** Text to copy: what it is and the button stand above it, so that nothing is covered on a narrow screen. */
import { CopyButton } from "./CopyButton";

export function CodeBlock({ label, text, wraps = false }: { label: string; text: string; wraps?: boolean }) {
  return (
    <div className="mt-2 overflow-hidden rounded-md border border-line bg-sunken">
      <div className="flex items-center justify-between gap-2 border-b border-line px-3 py-1">
        <span className="font-mono text-xs text-ink-soft">{label}</span>
        <CopyButton label={label} text={text} />
      </div>
      <pre
        role="region"
        aria-label={label}
        // A scrollable region must be reachable by keyboard to be scrolled by keyboard.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        className={`max-h-96 overflow-auto px-3 py-2 font-mono text-xs leading-relaxed text-ink -outline-offset-2 ${wraps ? "break-all whitespace-pre-wrap" : ""}`}
      >
        {text}
      </pre>
    </div>
  );
}
