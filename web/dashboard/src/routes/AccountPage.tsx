import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { FormDialog } from "../components/FormDialog";
import { Notice } from "../components/Notice";
import { SecondFactor } from "../components/people/SecondFactor";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { Ago, LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Card } from "../components/ui/card";
import { Field, Input } from "../components/ui/field";
import { changePassword, deviceName, endOtherSessions, endSession, sessionsQuery } from "../services/account";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const KINDS = [/[A-Z]/, /[a-z]/, /[0-9]/];

export function AccountPage() {
  useTitle("My account");
  const { user } = useSession();
  const [changes, setChanges] = useState(false);
  return (
    <>
      <PageHeader title="My account" docs="console#settings">
        {user !== null && <Button onClick={() => setChanges(true)}>Change password</Button>}
      </PageHeader>
      {user === null ? (
        <Card>
          <Notice title="Nobody is signed in">
            <p>Authentication is off: everybody who can open this page is the administrator, so there is no account to look after.</p>
          </Notice>
        </Card>
      ) : (
        <>
          <p className="mb-4 text-sm">
            You are signed in as <span className="font-medium">{user.email}</span>
            {user.name !== null && ` (${user.name})`}.
          </p>
          <Sessions />
          <SecondFactor />
        </>
      )}
      {changes && <ChangePassword onClose={() => setChanges(false)} />}
    </>
  );
}

function Sessions() {
  const client = useQueryClient();
  const sessions = useInfiniteQuery(sessionsQuery);
  const refresh = () => void client.invalidateQueries({ queryKey: ["sessions"] });
  const rows = sessions.data?.pages.flatMap((page) => page.rows) ?? [];
  const others = rows.filter((session) => !session.isCurrent).length;
  return (
    <>
      <div className="mb-2 flex flex-wrap items-center justify-between gap-2">
        <h2 className="text-base font-semibold">Where you are signed in</h2>
        {others > 0 && (
          <ConfirmButton
            needs={null}
            label="Sign out everywhere else"
            title="Sign out everywhere else?"
            confirm="Sign out"
            act={endOtherSessions}
            onDone={refresh}
          >
            <p>
              {others === 1 ? "One other browser is" : `${others}${sessions.hasNextPage ? " or more" : ""} other browsers are`} asked to sign in
              again. This one stays signed in.
            </p>
          </ConfirmButton>
        )}
      </div>
      <PagedTable
        label="Sessions"
        query={sessions}
        keyOf={(session) => session.id}
        empty={<Notice title="No sessions" />}
        columns={[
          {
            title: "Browser",
            cell: (session) => (
              <>
                <span title={session.device}>{deviceName(session.device)}</span>
                {session.isCurrent && <span className="ml-2 text-xs font-normal text-ink-soft">this one</span>}
              </>
            ),
          },
          { title: "Signed in", cell: (session) => <Ago instantMs={session.createdAt} /> },
          { title: "Last used", cell: (session) => <Ago instantMs={session.lastUsedAt} /> },
          { title: "Ends", cell: (session) => <LocalTime instantMs={session.expiresAt} /> },
          {
            title: "End",
            isUntitled: true,
            cell: (session) =>
              !session.isCurrent && (
                <div className="flex justify-end">
                  <ConfirmButton
                    needs={null}
                    label="End"
                    accessibleName={`End the session of ${deviceName(session.device)}`}
                    title="End this session?"
                    confirm="End it"
                    act={() => endSession(session.id)}
                    onDone={refresh}
                  >
                    <p>{deviceName(session.device)} is asked to sign in again.</p>
                  </ConfirmButton>
                </div>
              ),
          },
        ]}
      />
    </>
  );
}

function ChangePassword({ onClose }: { onClose: () => void }) {
  const [current, setCurrent] = useState("");
  const [wanted, setWanted] = useState("");
  const [again, setAgain] = useState("");
  const isGood = wanted.length >= 8 && wanted.length <= 64 && KINDS.every((kind) => kind.test(wanted));
  return (
    <FormDialog
      title="Change password"
      onClose={onClose}
      problems={{
        password: current === "" ? "Give the password you have now." : null,
        newPassword: isGood ? null : "Use 8 to 64 characters, among them an upper-case letter, a lower-case letter and a digit.",
        again: again === wanted ? null : "This is not the same.",
      }}
      act={() => changePassword(current, wanted)}
      submit="Change"
      submitting="Changing…"
      touches={["sessions"]}
      done={() => ({
        title: "Password changed",
        content: <p className="text-sm">Your other browsers are signed out, and sign in with the new one.</p>,
      })}
    >
      {(problemAt) => (
        <>
          <Field label="Current password" error={problemAt("password")}>
            {(props) => (
              <Input {...props} type="password" autoComplete="current-password" value={current} onChange={(event) => setCurrent(event.target.value)} />
            )}
          </Field>
          <Field label="New password" error={problemAt("newPassword")}>
            {(props) => (
              <Input {...props} type="password" autoComplete="new-password" value={wanted} onChange={(event) => setWanted(event.target.value)} />
            )}
          </Field>
          <Field label="New password again" error={problemAt("again")}>
            {(props) => (
              <Input {...props} type="password" autoComplete="new-password" value={again} onChange={(event) => setAgain(event.target.value)} />
            )}
          </Field>
        </>
      )}
    </FormDialog>
  );
}
