import { MODES, type Mode } from "../services/wire";

const ABOUT: Record<Mode, string> = {
  quick: "Fewer passages, the small model where one is set",
  balanced: "Six passages, follow-ups in the model’s words",
  thorough: "Plans smaller questions, reads more pages first",
};

/** How much is done for the next answer. */
export function ModeSwitch({ mode, onMode }: { mode: Mode; onMode: (mode: Mode) => void }) {
  return (
    <fieldset className="modes">
      <legend className="unseen">How thorough</legend>
      {MODES.map((each) => (
        <label key={each} title={ABOUT[each]}>
          <input type="radio" name="mode" className="unseen" value={each} checked={each === mode} onChange={() => onMode(each)} />
          <span>{each.charAt(0).toUpperCase() + each.slice(1)}</span>
        </label>
      ))}
    </fieldset>
  );
}
