/**
 * Lists that are read page by page, by cursor: rows that come or go meanwhile neither repeat nor vanish.
 *
 * The first page is kept up to date while it is the only one; a reader who has gone further is not moved.
 */
import { infiniteQueryOptions, type InfiniteData } from "@tanstack/react-query";
import { z } from "zod";

import { request, type RequestOptions } from "./http";
import { instantMs, orNull, rowsOf } from "./schemas";

export const ROWS_PER_PAGE = 50;

type Query = NonNullable<RequestOptions["query"]>;

export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly nextCursor: string | null;
  /** Null where all of what was asked for was looked at. */
  readonly lookedAt?: LookedAt | null;
}

const lookedAtSchema = z.object({ runs: z.int(), isCut: z.boolean(), oldest: orNull(instantMs) });
/** How far a search in payloads went. */
export type LookedAt = z.output<typeof lookedAtSchema>;

export function pagedQuery<Schema extends z.ZodType>(
  queryKey: readonly unknown[],
  path: string,
  row: Schema,
  /** A function is asked anew for each page, and what it depends on is in the key. */
  query: Query | (() => Query) = {},
) {
  const answerSchema = z.object({
    rows: rowsOf(row),
    pagination: orNull(z.object({ next_cursor: orNull(z.string()) })),
    lookedAt: orNull(lookedAtSchema),
  });
  return infiniteQueryOptions({
    queryKey: typeof query === "function" ? [...queryKey] : [...queryKey, query],
    queryFn: async ({ signal, pageParam }): Promise<Page<z.output<Schema>>> => {
      const answer = await request(answerSchema, path, {
        signal,
        query: { limit: ROWS_PER_PAGE, ...(typeof query === "function" ? query() : query), cursor: pageParam },
      });
      return { rows: answer.rows, nextCursor: answer.pagination?.next_cursor ?? null, lookedAt: answer.lookedAt };
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
  });
}

export function rowsIn<Row>(data: InfiniteData<Page<Row>>): readonly Row[] {
  return data.pages.flatMap((page) => page.rows);
}
