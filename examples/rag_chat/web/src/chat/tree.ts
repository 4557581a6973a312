// A conversation as a tree. A turn is a question with one answer; another answer to it, or another wording of the question,
// is another turn. Turns stand in the order in which they were asked.

import type { Turn } from "./transcript";

const turnOf = (turns: readonly Turn[], messageId: string | null): Turn | undefined =>
  messageId === null ? undefined : turns.find((turn) => turn.messageId === messageId);

/** A turn and all that led to it, oldest first. */
export function lineTo(turns: readonly Turn[], last: Turn | undefined): Turn[] {
  const line: Turn[] = [];
  for (let turn = last; turn !== undefined && !line.includes(turn); turn = turnOf(turns, turn.parentId)) line.unshift(turn);
  return line;
}

/** The latest turn behind one of those that are meant, or that one itself. */
export function latestBehind(turns: readonly Turn[], meant: (turn: Turn) => boolean): Turn | undefined {
  return turns.findLast((turn) => lineTo(turns, turn).some(meant));
}

/** The branch that is shown: the one through an answer, as far as it goes, else the one that was spoken on last. */
export function shownLine(turns: readonly Turn[], at: string | null): Turn[] {
  const through = at === null ? undefined : latestBehind(turns, (turn) => turn.messageId === at);
  return lineTo(turns, through ?? turns.at(-1));
}

/** The versions of something: which one is shown (from 1), of how many, and where its neighbours are. */
export interface Versions {
  number: number;
  count: number;
  before: string | null;
  after: string | null;
}

function versionsOf(all: string[], shown: string): Versions {
  const index = all.indexOf(shown);
  return { number: index + 1, count: all.length, before: all[index - 1] ?? null, after: all[index + 1] ?? null };
}

/** The answers to a turn's question. */
export function answerVersions(turns: readonly Turn[], turn: Turn): Versions | null {
  if (turn.messageId === null) return null;
  const all = turns.filter((other) => other.questionId === turn.questionId).flatMap((other) => other.messageId ?? []);
  return all.length < 2 ? null : versionsOf(all, turn.messageId);
}

/** The wordings of a turn's question; a neighbour is led to by the latest answer behind it. */
export function questionVersions(turns: readonly Turn[], turn: Turn): Versions | null {
  if (turn.questionId === null) return null;
  const wordings = turns.filter((other) => other.parentId === turn.parentId).flatMap((other) => other.questionId ?? []);
  const all = [...new Set(wordings)];
  if (all.length < 2) return null;
  const { number, count, before, after } = versionsOf(all, turn.questionId);
  const answerOf = (questionId: string | null) =>
    questionId === null ? null : (latestBehind(turns, (other) => other.questionId === questionId)?.messageId ?? null);
  return { number, count, before: answerOf(before), after: answerOf(after) };
}
