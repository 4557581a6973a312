/** How far back a page looks: one of the usual windows. */
import { TIME_WINDOWS, WINDOW_LABELS, type TimeWindow } from "../routes/searches";
import { Select } from "./ui/field";

export function TimeWindowChoice({ value, onChange }: { value: TimeWindow; onChange: (window: TimeWindow) => void }) {
  return (
    <Select
      aria-label="Time range"
      className="w-auto"
      value={value}
      onChange={(event) => onChange(TIME_WINDOWS.find((choice) => choice === event.target.value) ?? value)}
    >
      {TIME_WINDOWS.map((choice) => (
        <option key={choice} value={choice}>
          {WINDOW_LABELS[choice]}
        </option>
      ))}
    </Select>
  );
}
