import { expect, it } from "vitest";
import { atWords, wordsOf } from "./fragment";

it("leads to the first words that stand on the page as they are", () => {
  const passage = "# With pip\n\n```\npip install broadaxe and nothing else\n```\n\nCreate a well-known environment, then install `it` with pip.";
  expect(wordsOf(passage)).toBe("Create a well-known environment, then install");
  expect(atWords("https://e.org/i", passage)).toBe("https://e.org/i#:~:text=Create%20a%20well%2Dknown%20environment%2C%20then%20install");
  expect(atWords("https://e.org/i#pip", passage)).toMatch(/^https:\/\/e\.org\/i#pip:~:text=/);
});

it("leads to the place alone when there are no such words", () => {
  expect(atWords("https://e.org/i#pip", "`pip install broadaxe`\n\n- **one** two")).toBe("https://e.org/i#pip");
});
