/**
 * An editor for JSON: colours, folding, search, and a mark at the line of every mistake, in the text or against a schema.
 * Loaded when it is first needed; `JsonEditor` stands in for it until then.
 */
import { json, jsonParseLinter } from "@codemirror/lang-json";
import { HighlightStyle, syntaxHighlighting, syntaxTree } from "@codemirror/language";
import { linter, lintGutter, type Diagnostic } from "@codemirror/lint";
import type { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import type { SyntaxNode } from "@lezer/common";
import { tags } from "@lezer/highlight";
import CodeMirror from "@uiw/react-codemirror";
import { useMemo } from "react";

import { complaintsAbout, readObject, type JsonObject } from "./json";

const LINT_AFTER_MS = 200;

const COLOURS = syntaxHighlighting(
  HighlightStyle.define([
    { tag: tags.propertyName, color: "var(--ink)", fontWeight: "600" },
    { tag: tags.string, color: "var(--completed)" },
    { tag: tags.number, color: "var(--running)" },
    { tag: [tags.bool, tags.null], color: "var(--accent)" },
    { tag: [tags.separator, tags.squareBracket, tags.brace], color: "var(--ink-soft)" },
  ]),
);

const LOOK = EditorView.theme({
  "&": { backgroundColor: "var(--card)", color: "var(--ink)", fontSize: "12px" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { fontFamily: "var(--font-mono)", caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--ink-soft)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "transparent" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground, ::selection": { backgroundColor: "var(--accent-soft) !important" },
  ".cm-tooltip, .cm-panels": { backgroundColor: "var(--card)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-matchingBracket": { backgroundColor: "var(--accent-soft) !important" },
});

const SETUP = { autocompletion: false, highlightActiveLine: false, highlightActiveLineGutter: false, syntaxHighlighting: false };

export interface CodeEditorProps {
  readonly label: string;
  readonly text: string;
  readonly schema: JsonObject | null;
  readonly isWrong: boolean;
  readonly describedBy: string | undefined;
  readonly onChange: (text: string) => void;
}

export function CodeEditor({ label, text, schema, isWrong, describedBy, onChange }: CodeEditorProps) {
  const extensions = useMemo(
    () => [
      json(),
      COLOURS,
      EditorView.lineWrapping,
      lintGutter(),
      linter((view) => diagnose(view, schema), { delay: LINT_AFTER_MS }),
      EditorView.contentAttributes.of({
        "aria-label": label,
        "aria-invalid": String(isWrong),
        ...(describedBy !== undefined && { "aria-describedby": describedBy }),
      }),
    ],
    [schema, label, isWrong, describedBy],
  );
  return (
    <CodeMirror
      value={text}
      theme={LOOK}
      extensions={extensions}
      basicSetup={SETUP}
      // Tab goes on to the next field, as everywhere in a form.
      indentWithTab={false}
      minHeight="12rem"
      maxHeight="60vh"
      onChange={onChange}
    />
  );
}

function diagnose(view: EditorView, schema: JsonObject | null): readonly Diagnostic[] {
  const text = view.state.doc.toString();
  if (text.trim() === "") return [];
  const broken = jsonParseLinter()(view);
  if (broken.length > 0) return broken;
  const { value } = readObject(text);
  if (value === null || schema === null) return [];
  return complaintsAbout(value, schema).map(({ path, message }) => {
    const node = nodeAt(view.state, path);
    return { from: node.from, to: node.to, severity: "error", message: path.length === 0 ? message : `${path.at(-1) ?? ""}: ${message}` };
  });
}

/** The place of a value in the text; of one that is missing, the opening of what it is missing from. */
function nodeAt(state: EditorState, path: readonly string[]): { from: number; to: number } {
  let node: SyntaxNode | null = syntaxTree(state).topNode.firstChild;
  for (const part of path) {
    const inner = node === null ? null : childOf(state, node, part);
    if (inner === null) return { from: node?.from ?? 0, to: (node?.from ?? 0) + 1 };
    node = inner;
  }
  return { from: node?.from ?? 0, to: node?.to ?? 0 };
}

function childOf(state: EditorState, node: SyntaxNode, part: string): SyntaxNode | null {
  if (node.name === "Array") {
    const items = [];
    for (let child = node.firstChild; child !== null; child = child.nextSibling) {
      if (!["[", "]", ",", "⚠"].includes(child.name)) items.push(child);
    }
    return items[Number(part)] ?? null;
  }
  for (const property of node.getChildren("Property")) {
    const name = property.getChild("PropertyName");
    if (name !== null && state.sliceDoc(name.from, name.to) === JSON.stringify(part)) return property.lastChild;
  }
  return null;
}
