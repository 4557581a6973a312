import { useMemo } from "react";
import Markdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { citationOf, linkCitations } from "../chat/citations";
import type { Citation } from "../services/wire";
import { MARKDOWN } from "./markdown";
import { Outward } from "./Outward";

interface Props {
  text: string;
  citations: Citation[];
  writing: boolean;
  /** Opens a passage beside the answer; null while only its page can be opened. */
  onOpen: ((index: number) => void) | null;
}

/** An answer as it is written: Markdown without HTML, with its marks as links. */
export function AnswerText({ text, citations, writing, onOpen }: Props) {
  const known = useMemo(() => new Map(citations.map((citation) => [citation.index, citation])), [citations]);
  const markdown = useMemo(() => linkCitations(text, new Set(known.keys())), [text, known]);
  const components = useMemo<Components>(
    () => ({
      ...MARKDOWN,
      a: ({ href, children }) => {
        const citation = known.get(citationOf(href) ?? -1);
        return citation === undefined ? <Outward href={href ?? ""}>{children}</Outward> : <Chip citation={citation} onOpen={onOpen} />;
      },
    }),
    [known, onOpen],
  );
  return (
    <div className={writing ? "text writing" : "text"} data-testid="answer">
      <Markdown remarkPlugins={[remarkGfm]} components={components}>
        {markdown}
      </Markdown>
    </div>
  );
}

function Chip({ citation, onOpen }: { citation: Citation; onOpen: ((index: number) => void) | null }) {
  const name = `Source ${citation.index}: ${citation.title}`;
  return (
    <Outward
      href={citation.url}
      className="chip"
      label={name}
      title={`${citation.title}: ${citation.quote}`}
      onFollow={onOpen === null ? undefined : () => onOpen(citation.index)}
    >
      {citation.index}
    </Outward>
  );
}
