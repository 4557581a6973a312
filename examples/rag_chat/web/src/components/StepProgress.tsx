import type { Stage } from "../chat/transcript";
import { CheckIcon } from "./icons";

/** Where an answer is on its way: what is done, what happens now, what is still to come. */
export function StepProgress({ stages, stage, detail }: { stages: readonly Stage[]; stage: Stage | null; detail: string }) {
  const now = stage === null ? -1 : stages.indexOf(stage);
  return (
    <div className="progress">
      <ol aria-label="Progress">
        {stages.map((name, index) => {
          const state = index < now ? "done" : index === now ? "now" : "later";
          return (
            <li key={name} className={state} aria-current={state === "now" ? "step" : undefined} data-stage={name}>
              <span className="dot">{state === "done" && <CheckIcon />}</span>
              {name}
              {state === "done" && <span className="unseen"> (done)</span>}
            </li>
          );
        })}
      </ol>
      {detail !== "" && <p className="detail">{detail}</p>}
      <p className="unseen" role="status">
        {stage ?? "starting"}
      </p>
    </div>
  );
}
