import { expect, test } from "vitest";

import { readTraceback, shortFile } from "./traceback";

const PYTHON = `KeyError: 'exchange_rate'
Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/hatchet_sdk/runnables/task.py", line 90, in call
    return self.fn(input)
           ^^^^^^^^^^^^^^
  File "/srv/venv/lib/python3.11/site-packages/hatchet_sdk/worker/runner.py", line 12, in run
    call()
  File "/srv/shop/convert.py", line 201, in convert
    inner(12)
  File "/srv/shop/convert.py", line 195, in inner
    raise KeyError("exchange_rate")
  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode
    raise JSONDecodeError("Expecting value", s, err.value) from None

KeyError: 'exchange_rate'`;

test("of a Python traceback the last own frame is where it happened, and libraries are folded", () => {
  const read = readTraceback(PYTHON);
  expect(read.message).toBe("KeyError: 'exchange_rate'");
  expect(read.origin).toEqual({
    file: "/srv/shop/convert.py",
    line: 195,
    name: "inner",
    source: 'raise KeyError("exchange_rate")',
    isOwn: true,
  });
  expect(read.parts.map((part) => (part.kind === "library" ? part.frames.length : part.kind))).toEqual([2, "own", "own", 1, "text"]);
  const [libraries] = read.parts;
  expect(libraries?.kind === "library" && libraries.frames[0]?.source).toBe("return self.fn(input)\n       ^^^^^^^^^^^^^^");
});

test("a bare Python traceback ends with its message, also behind the cause it was raised from", () => {
  const cause = PYTHON.split("\n").slice(1).join("\n");
  const read = readTraceback(
    `${cause}\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File "/srv/shop/pay.py", line 7, in pay\n    convert()\nValueError: no rate`,
  );
  expect(read.message).toBe("ValueError: no rate");
  expect(read.origin?.file).toBe("/srv/shop/pay.py");
  expect(read.parts.some((part) => part.kind === "text" && part.text.includes("direct cause"))).toBe(true);
});

test("of a JavaScript stack the first own frame is where it happened", () => {
  const read = readTraceback(
    [
      "Error: no such table",
      "    at Object.query (/srv/app/node_modules/pg/lib/client.js:10:3)",
      "    at load (file:///srv/app/src/load.ts:42:11)",
      "    at /srv/app/src/main.ts:7:1",
      "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    ].join("\n"),
  );
  expect(read.message).toBe("Error: no such table");
  expect([read.origin?.name, read.origin?.line]).toEqual(["load", 42]);
  expect(read.parts.map((part) => part.kind)).toEqual(["library", "own", "own", "library"]);
});

test("what is no traceback stays as it is", () => {
  expect(readTraceback("cancelled by a user\nat noon")).toEqual({ message: "cancelled by a user\nat noon", origin: null, parts: [] });
  expect(readTraceback("")).toEqual({ message: "", origin: null, parts: [] });
});

test("files are called as people call them", () => {
  expect(shortFile("/srv/venv/lib/python3.11/site-packages/hatchet_sdk/worker/runner.py")).toBe("hatchet_sdk/worker/runner.py");
  expect(shortFile("/home/ada/projects/shop/convert.py")).toBe("projects/shop/convert.py");
});
