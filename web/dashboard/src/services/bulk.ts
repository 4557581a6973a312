/** One act for many things, where the engine takes one at a time. */
import { ApiError } from "./http";

/** In order, and not all at once: the engine has other callers. Says how far it came when one fails. */
export async function forEachOf(ids: Iterable<string>, act: (id: string) => Promise<unknown>): Promise<number> {
  let done = 0;
  for (const id of ids) {
    try {
      await act(id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // What is gone already needs nothing more.
      if (error.status !== 404) throw new ApiError(error.kind, error.status, `${done} were done. Then: ${error.message}`, error.field);
    }
    done += 1;
  }
  return done;
}
