import { useRef, useState } from "react";
import { addFile, fetchSources, type Source } from "../services/library";
import { sentenceOf } from "../services/wire";
import { useFetched } from "../pages/useFetched";
import { Dialog } from "./Dialog";

interface Props {
  chosen: readonly string[];
  /** No more sources can be added. */
  full: boolean;
  onAdd: (address: string) => void;
  onRemove: (address: string) => void;
  onClose: () => void;
}

const unfinished = (sources: Source[]): boolean => sources.some((source) => source.status === "reading");

const stateOf = (source: Source): string => {
  if (source.status === "failed") return source.error ?? "could not be read";
  if (source.status === "reading") return "being read";
  return source.pages === 1 ? "1 page" : `${source.pages} pages`;
};

/** Files to give, and what is in the library, for the next question. */
export function SourcePicker({ chosen, full, onAdd, onRemove, onClose }: Props) {
  const { value: sources, problem, again } = useFetched(fetchSources, unfinished);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);

  const give = async (files: File[]) => {
    setBusy(true);
    setRefusal(null);
    for (const file of files) {
      try {
        onAdd((await addFile(file)).address);
      } catch (error) {
        setRefusal(`${file.name}: ${sentenceOf(error)}`);
      }
    }
    setBusy(false);
    again();
  };

  return (
    <Dialog title="Sources" onClose={onClose}>
      <p className="label">What the next questions are about, beside the address. Files become part of the library, which everybody here sees.</p>
      <p>
        <button type="button" className="quiet" disabled={busy || full} onClick={() => chooser.current?.click()}>
          {busy ? "Sending…" : "Give a PDF, Markdown or text file…"}
        </button>
        <input
          ref={chooser}
          type="file"
          hidden
          multiple
          aria-label="Files to ask about"
          accept=".pdf,.md,.markdown,.txt,application/pdf,text/markdown,text/plain"
          onChange={(event) => {
            const files = [...(event.target.files ?? [])];
            event.target.value = "";
            if (files.length > 0) void give(files);
          }}
        />
      </p>
      {(refusal ?? problem) !== null && (
        <p className="error" role="alert">
          {refusal ?? problem}
        </p>
      )}
      {sources === null && problem === null && <p role="status">Looking…</p>}
      {sources?.length === 0 && <p className="label">The library is empty.</p>}
      {sources !== null && sources.length > 0 && (
        <fieldset className="pick">
          <legend>In the library</legend>
          {sources.map((source) => {
            const checked = chosen.includes(source.address);
            return (
              <label key={source.sourceId}>
                <input
                  type="checkbox"
                  checked={checked}
                  disabled={!checked && (full || source.status === "failed")}
                  onChange={() => (checked ? onRemove : onAdd)(source.address)}
                />
                <span className="name">{source.url}</span>
                <span className="state">{stateOf(source)}</span>
              </label>
            );
          })}
        </fieldset>
      )}
    </Dialog>
  );
}
