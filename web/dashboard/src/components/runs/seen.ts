/** What is in the rows that a page has: for suggestions, and for columns of metadata. */
import type { TaskSummary } from "../../services/schemas";
import { metadataText } from "../MetadataChips";

const VALUES_MAX = 20;
/** The engine's own keys are not what people look for. */
const RESERVED = /^(hatchet__|broadaxe__)/;

export function metadataSeen(rows: readonly TaskSummary[]): ReadonlyMap<string, readonly string[]> {
  const seen = new Map<string, Set<string>>();
  for (const row of rows) {
    for (const [key, value] of Object.entries(row.additionalMetadata)) {
      if (RESERVED.test(key)) continue;
      const values = seen.get(key) ?? new Set<string>();
      if (values.size < VALUES_MAX) values.add(metadataText(value));
      seen.set(key, values);
    }
  }
  const inOrder = [...seen].toSorted(([one], [other]) => one.localeCompare(other));
  return new Map(inOrder.map(([key, values]) => [key, [...values]]));
}
