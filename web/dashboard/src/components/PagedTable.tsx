/**
 * A list that is read page by page: loading, error, empty and stale states, a table on wide screens and a card for each
 * row on narrow ones, and "Show more" while there is more.
 */
import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { rowsIn, type Page } from "../services/pages";
import type { Choosing } from "./ChosenBar";
import { ErrorNotice, Loading, StaleBanner } from "./Notice";
import { Button } from "./ui/button";
import { Card } from "./ui/card";

export interface Column<Row> {
  readonly title: string;
  /** What stands in the cell. */
  readonly cell: (row: Row) => ReactNode;
  /** Its title is for those who hear it only, a column of buttons for instance. */
  readonly isUntitled?: boolean;
}

export function PagedTable<Row>({
  label,
  query,
  columns,
  keyOf,
  empty,
  choosing,
}: {
  label: string;
  query: UseInfiniteQueryResult<InfiniteData<Page<Row>>>;
  /** The first one names the row. */
  columns: readonly Column<Row>[];
  keyOf: (row: Row) => string;
  empty: ReactNode;
  /** Rows can be chosen; `ChosenBar` says what for. */
  choosing?: Choosing & { readonly nameOf: (row: Row) => string };
}) {
  if (query.data === undefined) {
    return (
      <Card aria-label={label}>
        {query.error ? (
          <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />
        ) : (
          <Loading label={`Loading ${label.toLowerCase()}…`} />
        )}
      </Card>
    );
  }
  const rows = rowsIn(query.data);
  return (
    <>
      {query.error !== null && <StaleBanner error={query.error} />}
      <Card aria-label={label}>
        {rows.length === 0 ? (
          empty
        ) : (
          <table aria-label={label} className="block w-full text-left text-sm md:table">
            <thead className="hidden text-xs text-ink-soft md:table-header-group">
              <tr className="border-b border-line">
                {choosing !== undefined && (
                  <th scope="col" className="w-8 py-2 pl-4">
                    <input
                      type="checkbox"
                      aria-label="Choose all that are shown"
                      checked={rows.every((row) => choosing.chosen.has(keyOf(row)))}
                      onChange={({ target }) => choosing.onChoose(new Set(target.checked ? rows.map(keyOf) : []))}
                    />
                  </th>
                )}
                {columns.map((column) => (
                  <th key={column.title} scope="col" className="px-4 py-2 font-medium">
                    {column.isUntitled ? <span className="sr-only">{column.title}</span> : column.title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody className="block md:table-row-group">
              {rows.map((row) => (
                <tr key={keyOf(row)} className="block border-b border-line px-4 py-2 last:border-0 md:table-row md:px-0 md:py-0">
                  {choosing !== undefined && (
                    <td className="block pt-1 align-top md:table-cell md:py-2.5 md:pl-4">
                      <input
                        type="checkbox"
                        aria-label={`Choose ${choosing.nameOf(row)}`}
                        checked={choosing.chosen.has(keyOf(row))}
                        onChange={({ target }) => {
                          const next = new Set(choosing.chosen);
                          if (target.checked) next.add(keyOf(row));
                          else next.delete(keyOf(row));
                          choosing.onChoose(next);
                        }}
                      />
                    </td>
                  )}
                  {columns.map((column, index) =>
                    index === 0 ? (
                      <th key={column.title} scope="row" className="block py-1 align-top font-medium break-words md:table-cell md:px-4 md:py-2.5">
                        {column.cell(row)}
                      </th>
                    ) : (
                      <td key={column.title} className="block py-1 align-top break-words md:table-cell md:px-4 md:py-2.5">
                        {!column.isUntitled && <span className="mr-2 text-xs text-ink-soft md:hidden">{column.title}</span>}
                        {column.cell(row)}
                      </td>
                    ),
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        )}
        {query.hasNextPage && (
          <div className="border-t border-line px-4 py-2 text-center">
            <Button disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              {query.isFetchingNextPage ? "Loading…" : "Show more"}
            </Button>
          </div>
        )}
      </Card>
    </>
  );
}
