import { expect, it } from "vitest";
import { citationOf, linkCitations } from "./citations";

const known = new Set([1, 2]);

it("links the marks that are known", () => {
  expect(linkCitations("So [1][2], but not [7].", known)).toBe("So [1](#cite-1)[2](#cite-2), but not [7].");
});

it("leaves code and links alone", () => {
  expect(linkCitations("`a[1]` and [1](https://x) \n```\nb[2]\n```\n[2]", known)).toBe(
    "`a[1]` and [1](https://x) \n```\nb[2]\n```\n[2](#cite-2)",
  );
  expect(linkCitations("still writing ```\nb[1]", known)).toBe("still writing ```\nb[1]");
});

it("reads its own links and no others", () => {
  expect(citationOf("#cite-2")).toBe(2);
  expect(citationOf("#cite-x")).toBeNull();
  expect(citationOf("https://x/#cite-2")).toBeNull();
  expect(citationOf(undefined)).toBeNull();
});
