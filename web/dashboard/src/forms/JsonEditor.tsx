/** A labelled editor for a JSON object: a code editor once it is loaded, and a plain text field that does the same until then. */
import { useLoaded } from "../components/useLoaded";
import { Field, TextArea } from "../components/ui/field";
import type { JsonObject } from "./json";

const loadEditor = () => import("./CodeEditor");

export function JsonEditor({
  label,
  text,
  problem,
  onChange,
  schema = null,
  hint,
}: {
  label: string;
  text: string;
  problem: string | null;
  onChange: (text: string) => void;
  /** Complained against at the line, while one writes. */
  schema?: JsonObject | null;
  hint?: string;
}) {
  const CodeEditor = useLoaded(loadEditor)?.CodeEditor;
  return (
    <Field label={label} error={problem} {...(hint === undefined ? {} : { hint })}>
      {(props) =>
        CodeEditor === undefined ? (
          <TextArea {...props} rows={12} value={text} onChange={(event) => onChange(event.target.value)} />
        ) : (
          <div className="overflow-hidden rounded-md border border-line focus-within:outline-2 focus-within:outline-offset-2 focus-within:outline-accent">
            <CodeEditor
              label={label}
              text={text}
              schema={schema}
              isWrong={props["aria-invalid"]}
              describedBy={props["aria-describedby"]}
              onChange={onChange}
            />
          </div>
        )
      }
    </Field>
  );
}
