/** Text from a terminal: its colours are shown in ours, and nothing else of its codes is left. */
import Anser from "anser";

import { cn } from "./ui/classes";

const ESCAPE = "\u001b";
const COLOURS: Readonly<Record<string, string>> = {
  "ansi-red": "text-failed",
  "ansi-bright-red": "text-failed",
  "ansi-green": "text-completed",
  "ansi-bright-green": "text-completed",
  "ansi-yellow": "text-cancelled",
  "ansi-bright-yellow": "text-cancelled",
  "ansi-blue": "text-running",
  "ansi-bright-blue": "text-running",
  "ansi-cyan": "text-running",
  "ansi-bright-cyan": "text-running",
  "ansi-magenta": "text-accent",
  "ansi-bright-magenta": "text-accent",
  "ansi-black": "text-ink-soft",
  "ansi-bright-black": "text-ink-soft",
};
const DECORATIONS: Readonly<Record<string, string>> = { bold: "font-bold", italic: "italic", underline: "underline", strikethrough: "line-through" };

export function AnsiText({ text }: { text: string }) {
  if (!text.includes(ESCAPE)) return text;
  return Anser.ansiToJson(text, { use_classes: true, remove_empty: true }).map((part, index) => (
    <span
      key={index}
      className={cn(COLOURS[part.fg], part.decorations.map((name) => DECORATIONS[name]), Boolean(part.bg) && "font-bold")}
    >
      {part.content}
    </span>
  ));
}

/** The text without any code. */
export function withoutAnsi(text: string): string {
  return text.includes(ESCAPE) ? Anser.ansiToText(text) : text;
}
