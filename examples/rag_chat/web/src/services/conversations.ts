// What the edge keeps of conversations: the person's list, one of them, and links to them.

import { call, fieldsOf, listOf, readMessage, sending, textOf, textOrNull, type Fields, type KeptMessage } from "./wire";

export interface Heading {
  conversationId: string;
  title: string;
  updatedAt: string;
  sharedAt: string | null;
  /** The part of a message in which the words of a search are. */
  excerpt: string | null;
}

export interface Page {
  headings: Heading[];
  /** Where the next page begins; null at the end. */
  next: string | null;
}

export interface Conversation {
  title: string;
  sharedAt: string | null;
  messages: KeptMessage[];
}

const at = (conversationId: string): string => `/conversations/${encodeURIComponent(conversationId)}`;

function readHeading(fields: Fields): Heading {
  return {
    conversationId: textOf(fields["conversationId"]),
    title: textOf(fields["title"]),
    updatedAt: textOf(fields["updatedAt"]),
    sharedAt: textOrNull(fields["sharedAt"]),
    excerpt: textOrNull(fields["excerpt"]),
  };
}

export async function fetchHeadings(search: string, before: string | null): Promise<Page> {
  const params = new URLSearchParams(search === "" ? {} : { search });
  if (before !== null) params.set("before", before);
  const fields = await call(`/conversations?${params}`);
  return {
    headings: listOf(fields["conversations"]).map((entry) => readHeading(fieldsOf(entry))),
    next: textOrNull(fields["next"]),
  };
}

export async function fetchConversation(conversationId: string): Promise<Conversation> {
  const fields = await call(at(conversationId));
  return {
    title: textOf(fields["title"]),
    sharedAt: textOrNull(fields["sharedAt"]),
    messages: listOf(fields["messages"]).map((entry) => readMessage(fieldsOf(entry))),
  };
}

/** What a link shows. Its messages have no ids of their own, so they are numbered. */
export async function fetchShared(link: string): Promise<Conversation> {
  const fields = await call(`/shared/${encodeURIComponent(link)}`);
  const messages = listOf(fields["messages"]).map((entry, index) => ({
    ...readMessage(fieldsOf(entry)),
    messageId: String(index),
    parentId: index === 0 ? null : String(index - 1),
  }));
  return { title: textOf(fields["title"]), sharedAt: null, messages };
}

export async function renameConversation(conversationId: string, title: string): Promise<string> {
  return textOf((await call(at(conversationId), sending("PATCH", { title })))["title"]);
}

export async function forgetConversation(conversationId: string): Promise<void> {
  await call(at(conversationId), { method: "DELETE" });
}

/** A new link up to an answer; an earlier one stops working. It is told this once. */
export async function shareConversation(conversationId: string, messageId: string): Promise<{ link: string; sharedAt: string }> {
  const fields = await call(`${at(conversationId)}/share`, sending("POST", { messageId }));
  return { link: textOf(fields["link"]), sharedAt: textOf(fields["sharedAt"]) };
}

export async function unshareConversation(conversationId: string): Promise<void> {
  await call(`${at(conversationId)}/share`, { method: "DELETE" });
}
