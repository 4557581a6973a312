/**
 * The one line of an error that says what happened. A bare Python traceback ends with it; what SDKs report begins with
 * it and has the traceback after.
 */
export function errorSummary(text: string): string {
  const lines = text.trim().split("\n");
  const first = lines[0] ?? "";
  return first.startsWith("Traceback (") ? (lines.at(-1) ?? first) : first;
}
