/** A filter of a few words, each pressed or not. None pressed means all are shown. */
import { cn } from "./ui/classes";

export function ChoiceChips<Choice extends string>({
  label,
  choices,
  labels,
  chosen,
  onChange,
}: {
  label: string;
  choices: readonly Choice[];
  labels: Readonly<Record<Choice, string>>;
  chosen: readonly Choice[];
  onChange: (chosen: Choice[]) => void;
}) {
  return (
    <div role="group" aria-label={label} className="flex flex-wrap gap-1.5">
      {choices.map((choice) => {
        const pressed = chosen.includes(choice);
        return (
          <button
            key={choice}
            type="button"
            aria-pressed={pressed}
            onClick={() => onChange(choices.filter((other) => (other === choice ? !pressed : chosen.includes(other))))}
            className={cn(
              "h-8 rounded-full border px-3 text-sm",
              pressed ? "border-accent bg-accent-soft font-medium" : "border-line bg-card text-ink-soft hover:bg-sunken",
            )}
          >
            {labels[choice]}
          </button>
        );
      })}
    </div>
  );
}
