// Evaluations as the edge tells them: how well passages are found, by method.

import { call, fieldsOf, listOf, numberOf, sending, textOf, textOrNull, type Fields } from "./wire";

export const METHODS = ["words", "meaning", "both"] as const;
export type Method = (typeof METHODS)[number];

export interface Evaluation {
  evaluationId: string;
  url: string;
  status: "running" | "complete" | "failed";
  error: string | null;
  embedder: string | null;
  questions: number;
  createdAt: string;
}

export interface Summary {
  questions: number;
  found: number;
  first: number;
  recall: number;
  precision: number;
  reciprocalRank: number;
}

export interface Score {
  /** The place of the first passage from a right page; null when there is none. */
  rank: number | null;
  pages: string[];
}

export interface EvaluatedQuestion {
  position: number;
  question: string;
  pages: string[];
  scores: Partial<Record<Method, Score>>;
}

export interface WholeEvaluation extends Evaluation {
  done: number;
  summaries: Partial<Record<Method, Summary>>;
  answers: EvaluatedQuestion[];
}

function readEvaluation(fields: Fields): Evaluation {
  const status = fields["status"];
  return {
    evaluationId: textOf(fields["evaluationId"]),
    url: textOf(fields["url"]),
    status: status === "complete" || status === "failed" ? status : "running",
    error: textOrNull(fields["error"]),
    embedder: textOrNull(fields["embedder"]),
    questions: numberOf(fields["questions"]),
    createdAt: textOf(fields["createdAt"]),
  };
}

/** What is there for each method that was used. */
function byMethod<T>(value: unknown, read: (fields: Fields) => T): Partial<Record<Method, T>> {
  const fields = fieldsOf(value);
  const found: Partial<Record<Method, T>> = {};
  for (const method of METHODS) if (fields[method] != null) found[method] = read(fieldsOf(fields[method]));
  return found;
}

const readSummary = (fields: Fields): Summary => ({
  questions: numberOf(fields["questions"]),
  found: numberOf(fields["found"]),
  first: numberOf(fields["first"]),
  recall: numberOf(fields["recall"]),
  precision: numberOf(fields["precision"]),
  reciprocalRank: numberOf(fields["reciprocal_rank"]),
});

const readScore = (fields: Fields): Score => ({ rank: numberOf(fields["rank"]) || null, pages: listOf(fields["pages"]).map(textOf) });

export async function fetchEvaluations(): Promise<Evaluation[]> {
  return listOf((await call("/evaluations"))["evaluations"]).map((entry) => readEvaluation(fieldsOf(entry)));
}

export async function fetchEvaluation(evaluationId: string): Promise<WholeEvaluation> {
  const fields = await call(`/evaluations/${encodeURIComponent(evaluationId)}`);
  return {
    ...readEvaluation(fields),
    done: numberOf(fields["done"]),
    summaries: byMethod(fields["summaries"], readSummary),
    answers: listOf(fields["answers"]).map((entry) => {
      const answer = fieldsOf(entry);
      return {
        position: numberOf(answer["position"]),
        question: textOf(answer["question"]),
        pages: listOf(answer["pages"]).map(textOf),
        scores: byMethod(answer["scores"], readScore),
      };
    }),
  };
}

export async function beginEvaluation(): Promise<Evaluation> {
  return readEvaluation(await call("/evaluations", sending("POST", {})));
}
