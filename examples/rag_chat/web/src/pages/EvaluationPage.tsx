import { useCallback, useState } from "react";
import { METHODS, beginEvaluation, fetchEvaluation, fetchEvaluations, type Evaluation, type Method, type WholeEvaluation } from "../services/evaluations";
import { sentenceOf } from "../services/wire";
import { followHere, go, useSearchParam } from "./route";
import { useFetched } from "./useFetched";
import "./library.css";

const anyRuns = (evaluations: Evaluation[]): boolean => evaluations.some((each) => each.status === "running");
const runs = (evaluation: WholeEvaluation): boolean => evaluation.status === "running";
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const share = (value: number): string => value.toFixed(2);

/** How well passages are found: the list of evaluations, or one of them (`?of=`), its methods side by side. */
export function EvaluationPage() {
  const evaluationId = useSearchParam("of");
  return <main className="library">{evaluationId === null ? <Past /> : <One key={evaluationId} evaluationId={evaluationId} />}</main>;
}

function Past() {
  const { value: evaluations, problem, again } = useFetched(fetchEvaluations, anyRuns);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const begin = async () => {
    setBusy(true);
    setRefusal(null);
    try {
      go(`/evaluation?of=${(await beginEvaluation()).evaluationId}`);
    } catch (error) {
      setRefusal(sentenceOf(error));
      again();
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <h1>Evaluation</h1>
      <p className="label">Questions about the engine's documentation whose right pages are known, asked by words, by meaning and by both.</p>
      <p>
        <button type="button" disabled={busy} onClick={() => void begin()}>
          Measure now
        </button>
      </p>
      {(refusal ?? problem) !== null && (
        <p className="error" role="alert">
          {refusal ?? problem}
        </p>
      )}
      {evaluations === null && problem === null && <p role="status">Looking…</p>}
      {evaluations?.length === 0 && <p role="status">Nothing was measured yet.</p>}
      <ul className="shelf">
        {evaluations?.map((each) => (
          <li key={each.evaluationId}>
            <a href={`/evaluation?of=${each.evaluationId}`} onClick={followHere}>
              {day.format(new Date(each.createdAt))}
            </a>
            <span className={each.status === "failed" ? "label bad" : "label"}>
              {each.questions} questions, {each.error ?? (each.status === "running" ? "being measured" : (each.embedder ?? "words only"))}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

function One({ evaluationId }: { evaluationId: string }) {
  const fetching = useCallback(() => fetchEvaluation(evaluationId), [evaluationId]);
  const { value: evaluation, problem } = useFetched(fetching, runs);
  return (
    <>
      <p>
        <a href="/evaluation" onClick={followHere}>
          All evaluations
        </a>
      </p>
      <h1>How passages are found</h1>
      {(problem ?? evaluation?.error ?? null) !== null && (
        <p className="error" role="alert">
          {problem ?? evaluation?.error}
        </p>
      )}
      {evaluation === null ? problem === null && <p role="status">Looking…</p> : <Measures evaluation={evaluation} />}
    </>
  );
}

function Measures({ evaluation }: { evaluation: WholeEvaluation }) {
  const used = METHODS.filter((method) => evaluation.summaries[method] !== undefined);
  return (
    <>
      <p className="label" role="status">
        {evaluation.url}: {evaluation.done} of {evaluation.questions} questions
        {evaluation.embedder !== null && `, meaning by ${evaluation.embedder}`}
      </p>
      {evaluation.status === "running" && <progress aria-label="Questions asked" value={evaluation.done} max={evaluation.questions} />}
      {used.length > 0 && (
        <>
          <div className="scroller" tabIndex={0} role="region" aria-label="Measures by method">
            <table>
              <thead>
                <tr>
                  <th scope="col">Method</th>
                  <th scope="col">Found</th>
                  <th scope="col">First</th>
                  <th scope="col">Recall</th>
                  <th scope="col">Precision</th>
                  <th scope="col">Mean reciprocal rank</th>
                </tr>
              </thead>
              <tbody>
                {used.map((method) => (
                  <Row key={method} method={method} evaluation={evaluation} />
                ))}
              </tbody>
            </table>
          </div>
          <h2>The rank of the first passage from a right page</h2>
          <div className="scroller" tabIndex={0} role="region" aria-label="Ranks by question">
            <table>
              <thead>
                <tr>
                  <th scope="col">Question</th>
                  {used.map((method) => (
                    <th key={method} scope="col">
                      {method}
                    </th>
                  ))}
                  <th scope="col">Right pages</th>
                </tr>
              </thead>
              <tbody>
                {evaluation.answers.map((answer) => (
                  <tr key={answer.position}>
                    <th scope="row">{answer.question}</th>
                    {used.map((method) => {
                      const score = answer.scores[method];
                      return (
                        <td key={method} className={score?.rank === 1 ? "good" : score?.rank == null ? "bad" : ""} title={score?.pages.join(", ")}>
                          {score?.rank ?? "none"}
                        </td>
                      );
                    })}
                    <td>{answer.pages.join(", ")}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </>
  );
}

function Row({ method, evaluation }: { method: Method; evaluation: WholeEvaluation }) {
  const summary = evaluation.summaries[method];
  if (summary === undefined) return null;
  return (
    <tr>
      <th scope="row">{method}</th>
      <td>
        {summary.found} of {summary.questions}
      </td>
      <td>{summary.first}</td>
      <td>{share(summary.recall)}</td>
      <td>{share(summary.precision)}</td>
      <td>{share(summary.reciprocalRank)}</td>
    </tr>
  );
}
