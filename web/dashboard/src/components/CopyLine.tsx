/** One line to take along, whole: an address, or a secret that is shown once. */
import { CopyButton } from "./CopyButton";

export function CopyLine({ label, text }: { label: string; text: string }) {
  return (
    <p className="mt-2 flex items-start gap-2 rounded-md bg-sunken p-3">
      <code className="min-w-0 font-mono text-xs break-all">{text}</code>
      <CopyButton label={label} text={text} />
    </p>
  );
}
