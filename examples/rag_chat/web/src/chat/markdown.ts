// A conversation, or one answer of it, as Markdown for elsewhere: the marks of an answer lead to notes with the addresses.

import { plainName } from "../services/library";
import type { Citation } from "../services/wire";
import type { Turn } from "./transcript";

const sourceOf = ({ index, title, heading, url }: Citation): string =>
  `${index}. ${heading === "" ? title : `${title}: ${heading}`} <${url}>`;

/** One answer with its sources. */
export function answerAsMarkdown(turn: Turn): string {
  const sources = turn.citations.length === 0 ? [] : ["Sources:", turn.citations.map(sourceOf).join("\n")];
  return [turn.text || turn.error || "", ...turn.notices.map((notice) => `*${notice}*`), ...sources].filter(Boolean).join("\n\n");
}

/** The finished part of a conversation. */
export function conversationAsMarkdown(turns: readonly Turn[]): string {
  return `${turns
    .filter((turn) => turn.status !== "running")
    .map((turn) => {
      const by = turn.model === null ? "" : `, answered by ${turn.model}`;
      const about = [turn.url, ...turn.sources].map((address) => (address.startsWith("source:") ? plainName(address) : `<${address}>`));
      return `## ${turn.question.replace(/\s+/g, " ")}\n\nAbout ${about.join(", ")}${by}\n\n${answerAsMarkdown(turn)}`;
    })
    .join("\n\n")}\n`;
}

/** Hand a text to the browser as a file to be saved. */
export function saveAs(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
