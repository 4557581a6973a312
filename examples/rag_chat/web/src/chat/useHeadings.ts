// The list of a person's conversations, as the sidebar shows it: all of them, or those with some words.

import { useEffect, useState } from "react";
import { fetchHeadings, type Heading, type Page } from "../services/conversations";
import { sentenceOf } from "../services/wire";

const TYPED_OUT_MS = 200;

export interface Headings {
  headings: Heading[];
  loaded: boolean;
  /** Reads on where the list ends; null when it is complete. */
  more: (() => void) | null;
  problem: string | null;
}

export function useHeadings(search: string, revision: number): Headings {
  const [page, setPage] = useState<Page>({ headings: [], next: null });
  const [loaded, setLoaded] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const words = search.trim();

  useEffect(() => {
    let current = true;
    const look = () =>
      fetchHeadings(words, null)
        .then((found) => {
          if (!current) return;
          setPage(found);
          setProblem(null);
        })
        .catch((error: unknown) => current && setProblem(sentenceOf(error)))
        .finally(() => current && setLoaded(true));
    // What is typed is looked for when the typing pauses; everything else at once.
    const timer = words === "" ? undefined : setTimeout(() => void look(), TYPED_OUT_MS);
    if (words === "") void look();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [words, revision]);

  const { next } = page;
  const readOn = () =>
    void fetchHeadings(words, next)
      .then((found) => setPage((known) => ({ headings: [...known.headings, ...found.headings], next: found.next })))
      .catch((error: unknown) => setProblem(sentenceOf(error)));
  return { headings: page.headings, loaded, more: next === null ? null : readOn, problem };
}
