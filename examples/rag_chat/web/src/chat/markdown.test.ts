import { expect, it } from "vitest";
import { conversationAsMarkdown } from "./markdown";
import { newTurn } from "./transcript";

it("writes questions, answers and where they come from", () => {
  const answered = {
    ...newTurn("How do I\ninstall it?", "https://e.org/docs/"),
    status: "complete" as const,
    text: "With pip [1].",
    model: "tiny",
    notices: ["It was cut."],
    citations: [{ index: 1, title: "Install", heading: "With pip", url: "https://e.org/i#pip", quote: "pip", score: null }],
  };
  const failed = { ...newTurn("And then?", "https://e.org/"), status: "failed" as const, error: "There is no such page." };
  expect(conversationAsMarkdown([answered, failed, newTurn("Unfinished?", "https://e.org/")])).toBe(
    `## How do I install it?

About <https://e.org/docs/>, answered by tiny

With pip [1].

*It was cut.*

Sources:

1. Install: With pip <https://e.org/i#pip>

## And then?

About <https://e.org/>

There is no such page.
`,
  );
});
