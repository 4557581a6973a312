/**
 * An error as a reader wants it: what happened, the frames of their own code, and libraries folded away.
 *
 * Reads the tracebacks of Python and the stacks of JavaScript; what is neither stays text. Pure. A frame is a library's
 * when its file lies where packages or the language itself are installed. Which frame failed first differs: Python names
 * it last, JavaScript first.
 */

export interface Frame {
  readonly file: string;
  readonly line: number | null;
  readonly name: string;
  /** The source lines that came with it. */
  readonly source: string;
  readonly isOwn: boolean;
}

export type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "own"; readonly frame: Frame }
  | { readonly kind: "library"; readonly frames: readonly Frame[] };

export interface Traceback {
  /** What happened, in its author's words; may have several lines. */
  readonly message: string;
  /** The frame of the reader's own code nearest to where it happened. */
  readonly origin: Frame | null;
  readonly parts: readonly Part[];
}

const LIBRARY = /(^|[\\/])(site-packages|dist-packages|node_modules)[\\/]|[\\/]lib[\\/]python3[^\\/]*[\\/]|^<frozen |^<string>|^node:|hatchet_sdk[\\/]/;
const PYTHON_FRAME = /^\s*(?:\|\s*)*File "(.+?)", line (\d+)(?:, in (.+))?$/;
const SCRIPT_FRAME = /^\s+at (?:(.+?) \()?((?:file:\/\/|node:|[A-Za-z]:\\|\/|webpack)[^()]*?):(\d+):\d+\)?$/;
const BEGIN = /^(?:\s*[|+]\s*)*(?:Exception Group )?Traceback \(most recent call last\):$/;

/** `text` without what SDKs add for each other (`errorText`). */
export function readTraceback(text: string): Traceback {
  const lines = text.trimEnd().split("\n");
  const parts: Part[] = [];
  const frames: { frame: Frame; isPython: boolean }[] = [];
  let between: string[] = [];

  function endText(): void {
    const joined = between.join("\n").replace(/^\n+|\n+$/g, "");
    between = [];
    if (joined !== "") parts.push({ kind: "text", text: joined });
  }

  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? "";
    const python = PYTHON_FRAME.exec(line);
    const script = python === null ? SCRIPT_FRAME.exec(line) : null;
    if (python === null && script === null) {
      if (!BEGIN.test(line)) between.push(line);
      at += 1;
      continue;
    }
    let source = "";
    at += 1;
    if (python !== null) {
      const indent = /^\s*/.exec(line)?.[0].length ?? 0;
      const own: string[] = [];
      // The source of a frame is indented further than the line that names it.
      for (let next = lines[at]; next !== undefined && isDeeper(next, indent); next = lines[at]) {
        own.push(next);
        at += 1;
      }
      source = dedent(own);
    }
    const file = python?.[1] ?? script?.[2] ?? "";
    const frame: Frame = {
      file,
      line: Number(python?.[2] ?? script?.[3]),
      name: python?.[3] ?? script?.[1] ?? "",
      source,
      isOwn: !LIBRARY.test(file),
    };
    frames.push({ frame, isPython: python !== null });
    endText();
    const last = parts.at(-1);
    if (frame.isOwn) parts.push({ kind: "own", frame });
    else if (last?.kind === "library") parts[parts.length - 1] = { kind: "library", frames: [...last.frames, frame] };
    else parts.push({ kind: "library", frames: [frame] });
  }
  endText();

  const own = frames.filter(({ frame }) => frame.isOwn);
  const origin = own.length === 0 ? null : ((own[0]?.isPython === true ? own.at(-1) : own[0])?.frame ?? null);
  return { ...withoutMessage(parts, lines), origin };
}

/** The message is what stands before the first frame, or, of a bare Python traceback, behind the last. */
function withoutMessage(parts: readonly Part[], lines: readonly string[]): { message: string; parts: readonly Part[] } {
  const first = parts[0];
  if (first?.kind === "text") return { message: first.text, parts: parts.slice(1) };
  const last = parts.at(-1);
  if (last?.kind === "text") return { message: last.text, parts: parts.slice(0, -1) };
  return { message: lines[0] ?? "", parts };
}

function isDeeper(line: string, indent: number): boolean {
  if (line.trim() === "" || PYTHON_FRAME.test(line)) return false;
  return (/^\s*/.exec(line)?.[0].length ?? 0) > indent;
}

function dedent(lines: readonly string[]): string {
  const indent = Math.min(...lines.map((line) => /^\s*/.exec(line)?.[0].length ?? 0));
  return lines.map((line) => line.slice(Number.isFinite(indent) ? indent : 0)).join("\n");
}

/** A file as people call it: without the directories above the package or project it is in. */
export function shortFile(file: string): string {
  const inPackage = /(?:site-packages|dist-packages|node_modules)[\\/](.+)$/.exec(file)?.[1];
  if (inPackage !== undefined) return inPackage;
  return file.split(/[\\/]/).slice(-3).join("/");
}
