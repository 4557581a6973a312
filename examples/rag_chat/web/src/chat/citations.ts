// Turning `[1]` in an answer into links, without touching code, where `[1]` is an index.

const CODE = /(```[\s\S]*?(?:```|$)|`[^`\n]*`)/g;
const MARK = /\[(\d{1,2})\](?!\()/g;

/** Markdown in which each known citation mark is a link to `#cite-n`. */
export function linkCitations(markdown: string, known: ReadonlySet<number>): string {
  return markdown
    .split(CODE)
    .map((part, index) =>
      index % 2 === 1
        ? part
        : part.replace(MARK, (mark, number: string) => (known.has(Number(number)) ? `[${number}](#cite-${number})` : mark)),
    )
    .join("");
}

export function citationOf(href: string | undefined): number | null {
  const match = /^#cite-(\d{1,2})$/.exec(href ?? "");
  return match?.[1] === undefined ? null : Number(match[1]);
}
