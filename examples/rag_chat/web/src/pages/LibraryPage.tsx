import { useRef, useState, type FormEvent } from "react";
import { addFile, addSource, fetchSources, type Source } from "../services/library";
import { sentenceOf } from "../services/wire";
import { LibraryItem, statusOf } from "./LibraryItem";
import { ReadPage } from "./ReadPage";
import { followHere, go, useSearchParam } from "./route";
import { useFetched } from "./useFetched";
import "./library.css";

const unfinished = (sources: Source[]): boolean => sources.some((source) => source.status === "reading");

/** What was read for good: the list, one of it (`?source=`), or one page of that (`?page=`). */
export function LibraryPage() {
  const sourceId = useSearchParam("source");
  const pageId = useSearchParam("page");
  return (
    <main className="library">
      {pageId !== null ? (
        <ReadPage key={pageId} pageId={pageId} sourceId={sourceId} />
      ) : sourceId !== null ? (
        <LibraryItem key={sourceId} sourceId={sourceId} />
      ) : (
        <Shelf />
      )}
    </main>
  );
}

function Shelf() {
  const { value: sources, problem, again } = useFetched(fetchSources, unfinished);
  return (
    <>
      <h1>Library</h1>
      <p className="label">Sites, pages and files that questions can be about. Everybody who uses this chat sees them.</p>
      <Giving onGiven={again} />
      {problem !== null && (
        <p className="error" role="alert">
          {problem}{" "}
          <button type="button" className="quiet" onClick={again}>
            Try again
          </button>
        </p>
      )}
      {sources === null && problem === null && <p role="status">Looking…</p>}
      {sources?.length === 0 && <p role="status">Nothing is here yet. Give an address or a file above.</p>}
      {sources !== null && sources.length > 0 && (
        <ul className="shelf">
          {sources.map((source) => (
            <li key={source.sourceId}>
              <a href={`/library?source=${source.sourceId}`} onClick={followHere}>
                {source.url}
              </a>
              <span className={source.status === "failed" ? "label bad" : "label"}>{statusOf(source)}</span>
              {source.status === "reading" && <progress aria-label={`Reading ${source.url}`} value={source.pages} max={Math.max(1, source.found)} />}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Giving({ onGiven }: { onGiven: () => void }) {
  const [url, setUrl] = useState("");
  const [site, setSite] = useState(true);
  const [rereadDays, setRereadDays] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const chooser = useRef<HTMLInputElement>(null);

  const give = async (giving: () => Promise<Source>) => {
    setBusy(true);
    setProblem(null);
    try {
      const source = await giving();
      setUrl("");
      go(`/library?source=${source.sourceId}`);
    } catch (error) {
      setProblem(sentenceOf(error));
    } finally {
      setBusy(false);
      onGiven();
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void give(() => addSource({ url: url.trim(), site, rereadDays: rereadDays === "" ? null : Number(rereadDays) }));
  };

  return (
    <form className="giving" onSubmit={submit}>
      <label>
        Address
        <input type="url" required placeholder="https://example.org/docs/" value={url} onChange={(event) => setUrl(event.target.value)} />
      </label>
      <label className="check">
        <input type="checkbox" checked={site} onChange={(event) => setSite(event.target.checked)} /> The whole site below it
      </label>
      <label>
        Read again
        <select value={rereadDays} onChange={(event) => setRereadDays(event.target.value)}>
          <option value="">never</option>
          <option value="1">every day</option>
          <option value="7">every week</option>
          <option value="30">every month</option>
        </select>
      </label>
      <button type="submit" disabled={busy || url.trim() === ""}>
        Read
      </button>
      <button type="button" className="quiet" disabled={busy} onClick={() => chooser.current?.click()}>
        Give a file…
      </button>
      <input
        ref={chooser}
        type="file"
        hidden
        aria-label="A PDF, Markdown or text file"
        accept=".pdf,.md,.markdown,.txt,application/pdf,text/markdown,text/plain"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          if (file !== undefined) void give(() => addFile(file));
        }}
      />
      {problem !== null && (
        <p className="error" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
