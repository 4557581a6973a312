import { cleanup } from "@testing-library/react";
import { afterEach } from "vitest";

afterEach(cleanup);

// jsdom does not lay anything out, so it has nothing to scroll.
Element.prototype.scrollIntoView = () => undefined;
