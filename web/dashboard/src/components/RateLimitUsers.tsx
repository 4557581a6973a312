/** Which tasks ask for units of a rate limit. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { rateLimitUsersQuery } from "../services/limits";
import { ErrorNotice, Loading } from "./Notice";
import { Dialog } from "./ui/dialog";

export function RateLimitUsers({ tenantId, limitKey, onClose }: { tenantId: string; limitKey: string; onClose: () => void }) {
  const users = useQuery(rateLimitUsersQuery(tenantId, limitKey));
  return (
    <Dialog title={`Tasks that use ${limitKey}`} onClose={onClose}>
      {users.data === undefined ? (
        users.error === null ? (
          <Loading label="Looking for tasks…" />
        ) : (
          <ErrorNotice error={users.error} onRetry={() => void users.refetch()} />
        )
      ) : users.data.length === 0 ? (
        <p className="text-sm text-ink-soft">No task of a registered workflow asks for it.</p>
      ) : (
        <ul className="space-y-2 text-sm">
          {users.data.map((user, index) => (
            <li key={index}>
              <Link to="/workflows/$id" params={{ id: user.workflowId }} className="font-medium text-accent underline">
                {user.workflowName}
              </Link>
              , task {user.taskName}: {user.units === null ? "units by an expression" : `${user.units} ${user.units === 1 ? "unit" : "units"} a run`}
              {user.keyExpression !== null && (
                <span className="text-ink-soft">
                  ; perhaps, as its key is worked out by <code className="font-mono text-xs break-all">{user.keyExpression}</code>
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}

/** How many they are, in a sentence; nothing until it is known. */
export function CountOfUsers({ tenantId, limitKey }: { tenantId: string; limitKey: string }) {
  const count = useQuery(rateLimitUsersQuery(tenantId, limitKey)).data?.length;
  if (count === undefined) return null;
  if (count === 0) return <>No task of a registered workflow asks for it.</>;
  return <>{count === 1 ? "1 task of a registered workflow asks for it, or may." : `${count} tasks of registered workflows ask for it, or may.`}</>;
}
