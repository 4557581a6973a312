/** One mistake: what and where it is, how often, since when, and the way to try all of its tasks again. */
import { Link } from "@tanstack/react-router";

import type { ErrorGroup } from "../../services/errorGroups";
import { ConfirmButton } from "../ConfirmButton";
import { Ago } from "../Times";
import { Card } from "../ui/card";

const WORKFLOWS_SHOWN = 3;

export function ErrorGroupCard({ group, onReplay }: { group: ErrorGroup; onReplay: () => Promise<void> }) {
  const title = group.exceptionType ?? (group.message === "" ? "An error without words" : group.message);
  const tasks = `${group.count.toLocaleString()} ${group.count === 1 ? "task" : "tasks"}`;
  const more = group.workflows.length - WORKFLOWS_SHOWN;
  return (
    <Card aria-label={title} className="px-4 py-3 text-sm">
      <div className="flex flex-wrap items-start justify-between gap-3">
        <div className="min-w-0 flex-1 basis-72">
          <h2 className="font-semibold break-words">
            {title}
            {group.file !== null && (
              <span className="font-normal text-ink-soft" title={group.file}>
                {" "}
                in {shortPath(group.file)}:{group.line}
              </span>
            )}
          </h2>
          {group.exceptionType !== null && group.message !== "" && <p className="mt-0.5 font-mono text-xs break-words text-failed">{group.message}</p>}
          {group.code !== null && (
            <p className="mt-1 font-mono text-xs break-words text-ink-soft">
              {group.function !== null && `${group.function}: `}
              {group.code}
            </p>
          )}
        </div>
        <div className="flex flex-wrap items-center gap-3">
          <span>
            <span className="text-lg font-semibold tabular-nums">{group.count.toLocaleString()}</span>{" "}
            {group.count === 1 ? "task" : "tasks"}
          </span>
          <ConfirmButton
            label="Replay all…"
            needs="replay"
            accessibleName={`Replay all of ${title}`}
            title={`Replay all of this ${title}?`}
            confirm={`Replay ${group.count.toLocaleString()}`}
            act={onReplay}
          >
            <p>
              {tasks} that failed with this error in the time range will run again with the input they had, and with them the tasks of their runs
              that depend on them. If some have failed anew meanwhile, these are replayed as well.
            </p>
          </ConfirmButton>
        </div>
      </div>
      <p className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-xs text-ink-soft">
        <span>
          Last <Ago instantMs={group.lastSeenAt} />
        </span>
        <span>
          First <Ago instantMs={group.firstSeenAt} />
        </span>
        <Link to="/runs/$id" params={{ id: group.exampleRunExternalId }} className="text-accent underline">
          Latest run
        </Link>
        {group.workflows.slice(0, WORKFLOWS_SHOWN).map((workflow) => (
          <Link
            key={workflow.workflowId}
            to="/runs"
            search={{ workflow: [workflow.name], status: ["FAILED"] }}
            className="text-accent underline"
          >
            {workflow.name} ({workflow.count.toLocaleString()})
          </Link>
        ))}
        {more > 0 && <span>and {more} more workflows</span>}
        <span>Task {group.taskNames.slice(0, WORKFLOWS_SHOWN).join(", ")}</span>
      </p>
    </Card>
  );
}

/** The file and the folder it is in. */
function shortPath(path: string): string {
  return path.split(/[/\\]/).slice(-2).join("/");
}
