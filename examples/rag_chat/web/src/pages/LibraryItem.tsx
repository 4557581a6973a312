import { useCallback, useState } from "react";
import { Outward } from "../components/Outward";
import { fetchSource, readAgain, takeOut, type Source, type WholeSource } from "../services/library";
import { sentenceOf } from "../services/wire";
import { followHere, go } from "./route";
import { useFetched } from "./useFetched";

const pagesOf = (count: number): string => (count === 1 ? "1 page" : `${count} pages`);

/** The state of a source in a few words. */
export function statusOf(source: Source): string {
  switch (source.status) {
    case "reading":
      return `reading, ${source.pages} of ${source.found} so far`;
    case "failed":
      return source.error ?? "could not be read";
    case "ready":
      return pagesOf(source.pages) + (source.rereadDays === null ? "" : `, read again every ${source.rereadDays === 1 ? "day" : `${source.rereadDays} days`}`);
  }
}

const unfinished = (source: WholeSource): boolean => source.status === "reading";

export function LibraryItem({ sourceId }: { sourceId: string }) {
  const fetching = useCallback(() => fetchSource(sourceId), [sourceId]);
  const { value: source, problem, again } = useFetched(fetching, unfinished);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [sure, setSure] = useState(false);

  const attempt = async (doing: () => Promise<unknown>) => {
    setRefusal(null);
    try {
      await doing();
      again();
    } catch (error) {
      setRefusal(sentenceOf(error));
    }
  };
  const remove = () =>
    attempt(async () => {
      await takeOut(sourceId);
      go("/library", "replace");
    });

  return (
    <>
      <p>
        <a href="/library" onClick={followHere}>
          Library
        </a>
      </p>
      {(problem ?? refusal) !== null && (
        <p className="error" role="alert">
          {refusal ?? problem}
        </p>
      )}
      {source === null ? (
        problem === null && <p role="status">Looking…</p>
      ) : (
        <>
          <h1>{source.url}</h1>
          <p className={source.status === "failed" ? "error" : "label"} role="status">
            {statusOf(source)}
          </p>
          {source.status === "reading" && <progress aria-label="Pages read" value={source.pages} max={Math.max(1, source.found)} />}
          <p className="doings">
            {source.status !== "failed" && (
              <a className="strong" href={`/?${new URLSearchParams({ about: source.address })}`} onClick={followHere}>
                Ask about it
              </a>
            )}
            <button type="button" className="quiet" disabled={source.status === "reading"} onClick={() => void attempt(() => readAgain(sourceId))}>
              Read again
            </button>
            {sure ? (
              <>
                <button type="button" className="quiet" onClick={() => void remove()}>
                  Yes, take it out
                </button>
                <button type="button" className="quiet" onClick={() => setSure(false)}>
                  Keep it
                </button>
              </>
            ) : (
              <button type="button" className="quiet" onClick={() => setSure(true)}>
                Take out…
              </button>
            )}
            {source.kind === "file" && <Outward href={`/sources/${sourceId}/file`}>Open the file</Outward>}
          </p>
          <ul className="shelf">
            {source.pageList.map((page) => (
              <li key={page.pageId}>
                <a href={`/library?source=${sourceId}&page=${page.pageId}`} onClick={followHere}>
                  {page.title}
                </a>
                <span className="label">
                  {page.passages === 1 ? "1 passage" : `${page.passages} passages`}
                  {page.changes > 0 && `, changed ${page.changes === 1 ? "once" : `${page.changes} times`}`}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
