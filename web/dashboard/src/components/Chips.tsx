/** Values of which none, one or several are chosen, as a filter. None pressed means all are shown. */
import { cn } from "./ui/classes";

export function Chips<Value extends string>({
  label,
  values,
  labels,
  chosen,
  onChange,
}: {
  label: string;
  values: readonly Value[];
  /** What each is called; itself unless told. */
  labels?: Readonly<Record<Value, string>>;
  chosen: readonly Value[];
  onChange: (values: Value[]) => void;
}) {
  return (
    <div role="group" aria-label={label} className="flex flex-wrap gap-1">
      {values.map((value) => {
        const pressed = chosen.includes(value);
        return (
          <button
            key={value}
            type="button"
            aria-pressed={pressed}
            onClick={() => onChange(values.filter((other) => (other === value ? !pressed : chosen.includes(other))))}
            className={cn(
              "h-8 rounded-full border px-3 text-xs",
              pressed ? "border-accent bg-accent-soft font-medium" : "border-line bg-card text-ink-soft hover:bg-sunken",
            )}
          >
            {labels?.[value] ?? value}
          </button>
        );
      })}
    </div>
  );
}
