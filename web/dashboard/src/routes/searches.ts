/**
 * The part of each page's state that lives in its address, one schema per route. A hand-edited or outdated address
 * never breaks a page: what cannot be understood falls back to the default.
 */
import { z } from "zod";

import { RUN_STATUSES } from "../services/schemas";

export const TIME_WINDOWS = ["1h", "6h", "24h", "7d", "30d"] as const;
export type TimeWindow = (typeof TIME_WINDOWS)[number];
export const DEFAULT_WINDOW: TimeWindow = "24h";

const HOUR_MS = 3_600_000;
export const WINDOW_MS: Readonly<Record<TimeWindow, number>> = {
  "1h": HOUR_MS,
  "6h": 6 * HOUR_MS,
  "24h": 24 * HOUR_MS,
  "7d": 7 * 24 * HOUR_MS,
  "30d": 30 * 24 * HOUR_MS,
};

/** Everything is optional so that the plain address means the defaults and stays plain. */
export const runsSearchSchema = z.object({
  status: z.array(z.enum(RUN_STATUSES)).optional().catch(undefined),
  workflow: z.uuid().optional().catch(undefined),
  window: z.enum(TIME_WINDOWS).optional().catch(undefined),
  page: z.int().min(1).optional().catch(undefined),
});
export type RunsSearch = z.output<typeof runsSearchSchema>;

/** `task` is the external id of the task whose details are open. */
export const runSearchSchema = z.object({ task: z.string().max(36).optional().catch(undefined) });

/** Only a path of this site is a place to go after signing in; anything else would be an open redirect. */
export const loginSearchSchema = z.object({
  next: z
    .string()
    .regex(/^\/(?![/\\])/)
    .optional()
    .catch(undefined),
});
