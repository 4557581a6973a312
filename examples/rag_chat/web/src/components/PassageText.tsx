import Markdown from "react-markdown";
import remarkGfm from "remark-gfm";
import { MARKDOWN } from "./markdown";

/** A passage as it stands on its page: Markdown without HTML. */
export function PassageText({ text }: { text: string }) {
  return (
    <Markdown remarkPlugins={[remarkGfm]} components={MARKDOWN}>
      {text}
    </Markdown>
  );
}
