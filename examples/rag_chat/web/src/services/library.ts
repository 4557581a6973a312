// The library as the edge tells it: what was given to read, the pages of it, the passages of a page.

import { call, fieldsOf, listOf, numberOf, sending, textOf, textOrNull, type Fields } from "./wire";

/** What an address is called by somebody who does not see the library. */
export const plainName = (address: string): string => (address.startsWith("source:") ? "A source of the library" : address);

export type SourceStatus = "reading" | "ready" | "failed";

export interface Source {
  sourceId: string;
  /** How a question names it. */
  address: string;
  kind: "page" | "site" | "file";
  /** An address, or the name of a file. */
  url: string;
  status: SourceStatus;
  error: string | null;
  pages: number;
  found: number;
  rereadDays: number | null;
  readAt: string | null;
}

export interface SourcePage {
  pageId: number;
  url: string;
  title: string;
  passages: number;
  changes: number;
}

export interface WholeSource extends Source {
  pageList: SourcePage[];
}

/** An answer the person was given: where it stands, and what was asked. */
export interface OwnAnswer {
  conversationId: string;
  question: string;
}

export interface Passage {
  passageId: number;
  heading: string;
  url: string;
  body: string;
  /** How many answers cite it, and the latest of them that the person was given. */
  answers: number;
  ownAnswers: OwnAnswer[];
}

export interface Change {
  changedAt: string;
  added: string[];
  removed: string[];
}

export interface WholePage {
  url: string;
  title: string;
  checkedAt: string;
  passages: Passage[];
  changes: Change[];
}

export interface Wanted {
  url: string;
  site: boolean;
  rereadDays: number | null;
}

const at = (sourceId: string): string => `/sources/${encodeURIComponent(sourceId)}`;
const texts = (value: unknown): string[] => listOf(value).map(textOf);

function readSource(fields: Fields): Source {
  const status = fields["status"];
  const kind = fields["kind"];
  return {
    sourceId: textOf(fields["sourceId"]),
    address: textOf(fields["address"]),
    kind: kind === "site" || kind === "file" ? kind : "page",
    url: textOf(fields["url"]),
    status: status === "ready" || status === "failed" ? status : "reading",
    error: textOrNull(fields["error"]),
    pages: numberOf(fields["pages"]),
    found: numberOf(fields["found"]),
    rereadDays: numberOf(fields["rereadDays"]) || null,
    readAt: textOrNull(fields["readAt"]),
  };
}

export async function fetchSources(): Promise<Source[]> {
  return listOf((await call("/sources"))["sources"]).map((entry) => readSource(fieldsOf(entry)));
}

export async function fetchSource(sourceId: string): Promise<WholeSource> {
  const fields = await call(at(sourceId));
  const pageList = listOf(fields["pageList"]).map((entry) => {
    const page = fieldsOf(entry);
    return {
      pageId: numberOf(page["pageId"]),
      url: textOf(page["url"]),
      title: textOf(page["title"]),
      passages: numberOf(page["passages"]),
      changes: numberOf(page["changes"]),
    };
  });
  return { ...readSource(fields), pageList };
}

export async function fetchPage(pageId: string): Promise<WholePage> {
  const fields = await call(`/pages/${encodeURIComponent(pageId)}`);
  return {
    url: textOf(fields["url"]),
    title: textOf(fields["title"]),
    checkedAt: textOf(fields["checkedAt"]),
    passages: listOf(fields["passages"]).map((entry) => {
      const passage = fieldsOf(entry);
      return {
        passageId: numberOf(passage["passageId"]),
        heading: textOf(passage["heading"]),
        url: textOf(passage["url"]),
        body: textOf(passage["body"]),
        answers: numberOf(passage["answers"]),
        ownAnswers: listOf(passage["ownAnswers"]).map((answer) => {
          const own = fieldsOf(answer);
          return { conversationId: textOf(own["conversationId"]), question: textOf(own["question"]) };
        }),
      };
    }),
    changes: listOf(fields["changes"]).map((entry) => {
      const change = fieldsOf(entry);
      return { changedAt: textOf(change["changedAt"]), added: texts(change["added"]), removed: texts(change["removed"]) };
    }),
  };
}

export async function addSource(wanted: Wanted): Promise<Source> {
  return readSource(await call("/sources", sending("POST", wanted)));
}

export async function addFile(file: File): Promise<Source> {
  const headers = { "content-type": file.type || "application/octet-stream" };
  return readSource(await call(`/sources/files?${new URLSearchParams({ name: file.name })}`, { method: "POST", body: file, headers }));
}

export async function readAgain(sourceId: string): Promise<Source> {
  return readSource(await call(`${at(sourceId)}/read`, { method: "POST" }));
}

export async function takeOut(sourceId: string): Promise<void> {
  await call(at(sourceId), { method: "DELETE" });
}
