import type { Versions } from "../chat/tree";
import { go, withParams } from "../pages/route";
import { BackIcon, OnIcon } from "./icons";

/** `‹ 2 / 3 ›`: which version of a question or an answer is shown, and the way to its neighbours. */
export function VersionSwitch({ versions, of }: { versions: Versions | null; of: "question" | "answer" }) {
  if (versions === null) return null;
  const { number, count, before, after } = versions;
  // Where there is nothing further the buttons stay and can be focused, so that walking does not lose the keyboard.
  const step = (to: string | null) => to !== null && go(withParams({ at: to }), "replace");
  return (
    <span className="versions" role="group" aria-label={`Versions of the ${of}`}>
      <button type="button" className="icon" aria-label="Earlier version" aria-disabled={before === null} onClick={() => step(before)}>
        <BackIcon />
      </button>
      <span role="status">
        {number}/{count}
      </span>
      <button type="button" className="icon" aria-label="Later version" aria-disabled={after === null} onClick={() => step(after)}>
        <OnIcon />
      </button>
    </span>
  );
}
