import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

afterEach(cleanup);
configure({ asyncUtilTimeout: 20_000 });

// jsdom does not lay anything out, so it has nothing to scroll.
Element.prototype.scrollIntoView = () => undefined;

// Nor does it put anything in front of everything else.
HTMLDialogElement.prototype.showModal = function () {
  this.open = true;
};
HTMLDialogElement.prototype.close = function () {
  if (!this.open) return;
  this.open = false;
  this.dispatchEvent(new Event("close"));
};
