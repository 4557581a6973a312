/**
 * The one line of an error that says what happened. A bare Python traceback ends with it; what SDKs report begins with
 * it and has the traceback after.
 */
export function errorSummary(text: string): string {
  const lines = errorText(text).trim().split("\n");
  const first = lines[0] ?? "";
  return first.startsWith("Traceback (") ? (lines.at(-1) ?? first) : first;
}

/** What SDKs put behind an error for each other to read. */
const TRAILER = /\n*\{"__hatchet_error_metadata__": .*\}\s*$/;

/** An error as its author wrote it: without the trailer, and with the line breaks that were escaped on the way. */
export function errorText(text: string): string {
  return text.replace(TRAILER, "").replaceAll("\\\n", "\n");
}
