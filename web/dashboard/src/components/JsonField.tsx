/** A small text field for a JSON object. What is wrong with the text is said with its line, and nothing wrong gets out. */
import { Field, TextArea } from "./ui/field";

export function JsonField({
  label,
  text,
  problem,
  onChange,
  hint,
  rows = 8,
}: {
  label: string;
  text: string;
  problem: string | null;
  onChange: (text: string) => void;
  hint?: string;
  rows?: number;
}) {
  return (
    <Field label={label} error={problem} {...(hint === undefined ? {} : { hint })}>
      {(props) => <TextArea {...props} rows={rows} value={text} onChange={(event) => onChange(event.target.value)} />}
    </Field>
  );
}
