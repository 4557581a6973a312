import { useCallback } from "react";
import { Outward } from "../components/Outward";
import { PassageText } from "../components/PassageText";
import { fetchPage, type Change, type OwnAnswer } from "../services/library";
import { followHere } from "./route";
import { useFetched } from "./useFetched";

const finished = (): boolean => false;
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A page as it was cut into passages, which of them answers cite, and how the page changed between two readings. */
export function ReadPage({ pageId, sourceId }: { pageId: string; sourceId: string | null }) {
  const fetching = useCallback(() => fetchPage(pageId), [pageId]);
  const { value: page, problem } = useFetched(fetching, finished);
  const back = sourceId === null ? "/library" : `/library?source=${sourceId}`;
  return (
    <>
      <p>
        <a href={back} onClick={followHere}>
          {sourceId === null ? "Library" : "All its pages"}
        </a>
      </p>
      {problem !== null && (
        <p className="error" role="alert">
          {problem}
        </p>
      )}
      {page === null ? (
        problem === null && <p role="status">Looking…</p>
      ) : (
        <>
          <h1>{page.title}</h1>
          <p className="label">
            <Outward href={page.url}>{page.url}</Outward>, looked at {day.format(new Date(page.checkedAt))}
          </p>
          {page.changes.length > 0 && <Changes changes={page.changes} />}
          <h2>Passages</h2>
          <ol className="passages">
            {page.passages.map((passage) => (
              <li key={passage.passageId} id={`passage-${passage.passageId}`}>
                <h3>
                  <Outward href={passage.url}>{passage.heading}</Outward>
                </h3>
                {passage.answers > 0 && <Answers count={passage.answers} own={passage.ownAnswers} />}
                <div className="text">
                  <PassageText text={passage.body} />
                </div>
              </li>
            ))}
          </ol>
        </>
      )}
    </>
  );
}

/** Which answers cite a passage. Those of other people are only counted. */
function Answers({ count, own }: { count: number; own: OwnAnswer[] }) {
  const said = count === 1 ? "1 answer cites it" : `${count} answers cite it`;
  if (own.length === 0) return <p className="label">{said}</p>;
  return (
    <details className="citing">
      <summary className="label">{said}</summary>
      <ul>
        {own.map((answer, index) => (
          <li key={index}>
            <a href={`/c/${encodeURIComponent(answer.conversationId)}`} onClick={followHere}>
              {answer.question}
            </a>
          </li>
        ))}
        {count > own.length && <li className="label">and {count - own.length} more, earlier ones or those of other people</li>}
      </ul>
    </details>
  );
}

function Changes({ changes }: { changes: Change[] }) {
  return (
    <>
      <h2>Changes</h2>
      {changes.map((change, index) => (
        <details key={change.changedAt} open={index === 0}>
          <summary>
            {day.format(new Date(change.changedAt))}: {change.added.length} passages new, {change.removed.length} gone
          </summary>
          {change.added.map((text) => (
            <ins key={text}>{text}</ins>
          ))}
          {change.removed.map((text) => (
            <del key={text}>{text}</del>
          ))}
        </details>
      ))}
    </>
  );
}
