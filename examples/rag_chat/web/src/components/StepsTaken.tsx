import type { StepRecord } from "../services/wire";

const NAMES: Record<string, string> = {
  start: "Starting",
  plan: "Planning",
  load_docs: "Reading",
  read_more: "Reading more",
  reason_docs: "Making sense",
  generate_response: "Writing",
};

const timeOf = (seconds: number): string =>
  seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;

/** How an answer came about: its steps, how long each took, what it did. Folded, for most people do not care. */
export function StepsTaken({ steps }: { steps: StepRecord[] }) {
  if (steps.length === 0) return null;
  const known = steps.flatMap((step) => step.seconds ?? []);
  const total = known.reduce((sum, seconds) => sum + seconds, 0);
  return (
    <details className="folded">
      <summary>
        {steps.length === 1 ? "1 step" : `${steps.length} steps`}
        {known.length > 0 && ` in ${timeOf(total)}`}
      </summary>
      <ol className="steps">
        {steps.map((step) => (
          <li key={step.step}>
            <span className="name">{NAMES[step.step] ?? step.step}</span>
            <span className="time">{step.seconds === null ? "not finished" : timeOf(step.seconds)}</span>
            {step.attempts > 1 && <span className="note">{step.attempts} attempts</span>}
            {step.notes.map((note) => (
              <span key={note} className="note">
                {note}
              </span>
            ))}
          </li>
        ))}
      </ol>
    </details>
  );
}
