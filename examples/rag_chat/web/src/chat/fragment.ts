// A link that opens a page at some words of it: browsers scroll there and mark them (WICG "URL Fragment Text Directives").

const WORDS_MIN = 4;
const WORDS_MAX = 8;
/** What Markdown adds to the words of a page; a run of words ends there, for it may stand in another element. */
const MARKUP = /[*_`#>|[\]()\\]|https?:/;

/** The first few words in a row of a passage that stand on its page just like that; null when there are none. */
export function wordsOf(markdown: string): string | null {
  for (const line of markdown.replace(/```[\s\S]*?(?:```|$)/g, "\n").split("\n")) {
    const words = line.trim().split(/\s+/);
    const marked = words.findIndex((word) => MARKUP.test(word));
    const plain = words.slice(0, marked === -1 ? WORDS_MAX : Math.min(marked, WORDS_MAX));
    if (plain.length >= WORDS_MIN) return plain.join(" ");
  }
  return null;
}

/** The address of a passage, with its words. */
export function atWords(url: string, markdown: string): string {
  const words = wordsOf(markdown);
  if (words === null) return url;
  // A dash and a comma mean something in a directive.
  const encoded = encodeURIComponent(words).replaceAll("-", "%2D");
  return `${url}${url.includes("#") ? "" : "#"}:~:text=${encoded}`;
}
