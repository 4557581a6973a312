// Pages beside the conversations. Each has an address and a name, by which the sidebar leads there.

import type { ComponentType } from "react";
import { EvaluationPage } from "./EvaluationPage";
import { LibraryPage } from "./LibraryPage";

export interface MorePage {
  path: string;
  name: string;
  Page: ComponentType;
}

export const MORE_PAGES: readonly MorePage[] = [
  { path: "/library", name: "Library", Page: LibraryPage },
  { path: "/evaluation", name: "Evaluation", Page: EvaluationPage },
];
