import "@testing-library/jest-dom/vitest";

import { cleanup } from "@testing-library/react";
import { afterEach, vi } from "vitest";

// What the browser has and jsdom lacks: the graph measures its nodes, the router scrolls.
vi.stubGlobal(
  "ResizeObserver",
  class {
    observe(): void {
      return;
    }
    unobserve(): void {
      return;
    }
    disconnect(): void {
      return;
    }
  },
);
window.scrollTo = () => undefined;

afterEach(cleanup);
