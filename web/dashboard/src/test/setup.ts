import "@testing-library/jest-dom/vitest";

import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";

import { chooseTheme } from "../theme";
import { chooseZone } from "../time/zone";
import "./changes";

// A bound on hanging, not a wait: every helper goes on at once when what it waits for is there.
configure({ asyncUtilTimeout: 60_000 });

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
Element.prototype.scrollIntoView = () => undefined;
// The code editor measures its text.
Range.prototype.getClientRects = () => [] as unknown as DOMRectList;
Range.prototype.getBoundingClientRect = () => new DOMRect();
Element.prototype.scrollIntoView = () => undefined;
HTMLDialogElement.prototype.showModal = function showModal(this: HTMLDialogElement) {
  this.open = true;
};
HTMLDialogElement.prototype.close = function close(this: HTMLDialogElement) {
  this.open = false;
};

// Files share a browser: what a test chose there is not the next one's.
afterEach(() => {
  cleanup();
  window.localStorage.clear();
  window.sessionStorage.clear();
  chooseTheme("system");
  chooseZone("local");
});
