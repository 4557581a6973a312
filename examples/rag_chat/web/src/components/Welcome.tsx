import type { Config } from "../services/wire";

/** About any page. */
const EXAMPLES = ["What is this page about?", "What should I read first?", "Show me an example to start with."];
/** About the engine's own documentation, which the demo begins with. */
const EXAMPLES_OF_THE_ENGINE = ["How do I install Broadaxe?", "What happens when a worker dies?", "How do I limit how many runs go at once?"];

interface Props {
  config: Config | null;
  url: string;
  /** Null while nothing can be asked. */
  onAsk: ((question: string) => void) | null;
}

/** What an empty conversation shows: what this is, and three questions to begin with. */
export function Welcome({ config, url, onAsk }: Props) {
  const ofTheEngine = config !== null && url === `${config.dashboardUrl}/docs/`;
  return (
    <section className="welcome">
      <h1>What would you like to know?</h1>
      <p>Give a page, ask a question. The answer comes with links to the passages it rests on.</p>
      <ul className="examples" aria-label="Examples">
        {(ofTheEngine ? EXAMPLES_OF_THE_ENGINE : EXAMPLES).map((question) => (
          <li key={question}>
            <button type="button" className="quiet" disabled={onAsk === null} onClick={() => onAsk?.(question)}>
              {question}
            </button>
          </li>
        ))}
      </ul>
      {config !== null && config.modelProblem !== null && (
        <p className="notice" role="status">
          {config.modelProblem} Until then, answers are quoted passages.
        </p>
      )}
    </section>
  );
}
