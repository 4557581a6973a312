// Opening a citation: the passage as it was when the answer was made, with what stands round it.

import { call, fieldsOf, listOf, numberOf, textOf, type Fields } from "./wire";

export interface Piece {
  heading: string;
  text: string;
}

export interface OpenPassage {
  index: number;
  title: string;
  heading: string;
  url: string;
  text: string;
  before: Piece[];
  after: Piece[];
  /** The passage is not on its page any more. */
  changed: boolean;
}

/** Where the passages of an answer are asked for. */
export type PassagesAt = string;

export const passagesOf = (messageId: string): PassagesAt => `/message/${encodeURIComponent(messageId)}/passages`;

/** The same for the readers of a link, to whom messages are numbers. */
export const sharedPassagesOf = (link: string, number: string): PassagesAt =>
  `/shared/${encodeURIComponent(link)}/passages/${encodeURIComponent(number)}`;

const readPieces = (value: unknown): Piece[] =>
  listOf(value).map((entry) => {
    const fields: Fields = fieldsOf(entry);
    return { heading: textOf(fields["heading"]), text: textOf(fields["text"]) };
  });

export async function fetchPassage(at: PassagesAt, index: number): Promise<OpenPassage> {
  const fields = await call(`${at}/${index}`);
  return {
    index: numberOf(fields["index"]),
    title: textOf(fields["title"]),
    heading: textOf(fields["heading"]),
    url: textOf(fields["url"]),
    text: textOf(fields["text"]),
    before: readPieces(fields["before"]),
    after: readPieces(fields["after"]),
    changed: fields["changed"] === true,
  };
}
