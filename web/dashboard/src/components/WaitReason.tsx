/** Why a task does not run: the engine's own sentence, and the ways to whatever holds it. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { WaitReason as Reason } from "../services/waiting";
import { LocalTime } from "./Times";

const LINK = "text-accent underline break-all";

export function WaitReason({ reason, children }: { reason: Reason; children?: ReactNode }) {
  const links = linksOf(reason);
  return (
    <div data-testid="wait-reason" className="space-y-1.5 text-sm">
      <p className="font-medium break-words">{reason.message}.</p>
      {links.length > 0 && (
        <ul aria-label="What it waits for" className="flex flex-wrap gap-x-3 gap-y-1 text-xs">
          {links.map((link, index) => (
            <li key={index}>{link}</li>
          ))}
        </ul>
      )}
      {reason.expiresAt !== null && (
        <p className="text-xs text-ink-soft">
          If it still waits then, it is given up at <LocalTime instantMs={reason.expiresAt} />.
        </p>
      )}
      {children}
    </div>
  );
}

function linksOf(reason: Reason): readonly ReactNode[] {
  return [
    ...reason.workers.map((worker) => (
      <Link to="/workers/$id" params={{ id: worker.id }} className={LINK}>
        {worker.name ?? worker.id}
      </Link>
    )),
    ...reason.holders.map((holder) => (
      <Link to="/runs/$id" params={{ id: holder.runId }} search={holder.taskId === null ? {} : { task: holder.taskId }} className={LINK}>
        {holder.runName}
      </Link>
    )),
    ...reason.parents.flatMap((parent) =>
      parent.taskId === null
        ? []
        : [
            <Link to="/runs/$id" params={{ id: reason.runId }} search={{ task: parent.taskId }} className={LINK}>
              {parent.name}
            </Link>,
          ],
    ),
    ...reason.children.map((child) => (
      <Link to="/runs/$id" params={{ id: child.runId }} className={LINK}>
        {child.workflowName} {child.runId}
      </Link>
    )),
    ...placeOf(reason),
  ];
}

/** The page of what holds it. */
function placeOf(reason: Reason): readonly ReactNode[] {
  switch (reason.reason) {
    case "KEY":
      return [
        <Link to="/concurrency" search={reason.key === null ? {} : { search: reason.key }} className={LINK}>
          Everybody under this key
        </Link>,
      ];
    case "RATE_LIMIT":
      return [
        <Link to="/rate-limits" search={reason.key === null ? {} : { search: reason.key }} className={LINK}>
          The rate limit
        </Link>,
      ];
    case "PAUSED":
      return reason.workflowId === null
        ? []
        : [
            <Link to="/workflows/$id" params={{ id: reason.workflowId }} className={LINK}>
              {reason.workflowName ?? "The workflow"}
            </Link>,
          ];
    case "NO_WORKER":
    case "WORKERS_AWAY":
    case "LABELS":
    case "TOO_LARGE":
      return [
        <Link to="/workers" className={LINK}>
          All workers
        </Link>,
      ];
    default:
      return [];
  }
}
