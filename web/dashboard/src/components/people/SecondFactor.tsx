/** The second factor of whoever is signed in: turned on with an authenticator app, off with the password. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { beginSecondFactor, confirmSecondFactor, secondFactorQuery, turnOffSecondFactor, type NewSecondFactor } from "../../services/account";
import { CodeBlock } from "../CodeBlock";
import { FormDialog } from "../FormDialog";
import { ErrorNotice, Loading } from "../Notice";
import { LocalTime } from "../Times";
import { Button } from "../ui/button";
import { Card, CardHeader } from "../ui/card";
import { Field, Input } from "../ui/field";

export function SecondFactor() {
  const client = useQueryClient();
  const found = useQuery(secondFactorQuery);
  const [isAsked, setIsAsked] = useState(false);
  const [begun, setBegun] = useState<NewSecondFactor | null>(null);
  const factor = found.data;
  return (
    <Card className="mt-6" aria-label="Second factor">
      <CardHeader title="Second factor" />
      {found.isPending && <Loading label="Loading…" />}
      {found.isError && <ErrorNotice error={found.error} onRetry={() => void found.refetch()} />}
      {factor !== undefined && (
        <div className="flex flex-wrap items-center justify-between gap-3 p-4 text-sm">
          {factor.since === null ? (
            <p>Off: your password alone signs you in.</p>
          ) : (
            <p>
              On since <LocalTime instantMs={factor.since} />: signing in asks for a code of your app. {factor.recoveryCodesLeft} recovery codes are left.
            </p>
          )}
          <Button onClick={() => setIsAsked(true)}>{factor.since === null ? "Turn on" : "Turn off"}</Button>
        </div>
      )}
      {isAsked && factor !== undefined && (
        <PasswordDialog
          isOn={factor.since !== null}
          onBegun={setBegun}
          onClose={() => {
            setIsAsked(false);
            void client.invalidateQueries({ queryKey: ["second-factor"] });
          }}
        />
      )}
      {begun !== null && <ConfirmDialog begun={begun} onClose={() => setBegun(null)} />}
    </Card>
  );
}

function PasswordDialog({ isOn, onBegun, onClose }: { isOn: boolean; onBegun: (begun: NewSecondFactor) => void; onClose: () => void }) {
  const [password, setPassword] = useState("");
  return (
    <FormDialog
      title={isOn ? "Turn the second factor off" : "Turn a second factor on"}
      onClose={onClose}
      problems={{ password: password === "" ? "Give your password." : null }}
      act={async () => {
        if (isOn) await turnOffSecondFactor(password);
        else onBegun(await beginSecondFactor(password));
      }}
      submit={isOn ? "Turn off" : "Go on"}
      submitting="Checking…"
      touches={["second-factor"]}
    >
      {(problemAt) => (
        <Field label="Your password" error={problemAt("password")}>
          {(props) => (
            <Input {...props} type="password" autoComplete="current-password" value={password} onChange={(event) => setPassword(event.target.value)} />
          )}
        </Field>
      )}
    </FormDialog>
  );
}

function ConfirmDialog({ begun, onClose }: { begun: NewSecondFactor; onClose: () => void }) {
  const [code, setCode] = useState("");
  return (
    <FormDialog
      title="Add it to your app"
      onClose={onClose}
      problems={{ code: /^\s*\d{3}\s*\d{3}\s*$/.test(code) ? null : "Give the six digits that the app shows." }}
      act={() => confirmSecondFactor(code)}
      submit="Turn on"
      submitting="Checking…"
      touches={["second-factor"]}
      done={(codes) => ({
        title: "Your recovery codes",
        content: (
          <div className="space-y-3 text-sm">
            <p>Each lets you in once without the app. Keep them where you find them without it; they are shown only now.</p>
            <CodeBlock label="Recovery codes" text={codes.join("\n")} />
          </div>
        ),
      })}
    >
      {(problemAt) => (
        <>
          <p className="text-sm">Scan this with an authenticator app, or type the key into it.</p>
          <img src={begun.picture} alt="QR code of the key" className="mx-auto size-44 bg-white" />
          <CodeBlock wraps label="Key" text={begun.secret} />
          <Field label="Code that the app shows" error={problemAt("code")}>
            {(props) => (
              <Input {...props} inputMode="numeric" autoComplete="one-time-code" value={code} onChange={(event) => setCode(event.target.value)} />
            )}
          </Field>
        </>
      )}
    </FormDialog>
  );
}
