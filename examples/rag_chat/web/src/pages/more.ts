// Pages beside the conversations. Each has an address and a name, by which the sidebar leads there.

import type { ComponentType } from "react";

export interface MorePage {
  path: string;
  name: string;
  Page: ComponentType;
}

export const MORE_PAGES: readonly MorePage[] = [];
