import type { Components } from "react-markdown";

/** How Markdown of pages and models is shown everywhere: what is wider than its column scrolls, also by the keyboard. */
export const MARKDOWN: Components = {
  // Pictures would be fetched from wherever a page or a model says.
  img: ({ alt }) => <>{alt}</>,
  pre: ({ children }) => <pre tabIndex={0}>{children}</pre>,
  table: ({ children }) => (
    <div className="scroller" tabIndex={0} role="group" aria-label="Table">
      <table>{children}</table>
    </div>
  ),
};
