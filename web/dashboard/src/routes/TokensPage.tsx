import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { CopyButton } from "../components/CopyButton";
import { FormDialog } from "../components/FormDialog";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { Ago, LocalTime } from "../components/Times";
import { Button } from "../components/ui/button";
import { Field, Input, Select } from "../components/ui/field";
import { createToken, environmentOf, revokeToken, tokensQuery } from "../services/tokens";
import { useNowMs } from "../time/now";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const LIVES = [
  { label: "30 days", value: "720h" },
  { label: "90 days", value: "2160h" },
  { label: "1 year", value: "8760h" },
  { label: "10 years", value: "87600h" },
] as const;

export function TokensPage() {
  useTitle("API tokens");
  const { tenant } = useSession();
  const client = useQueryClient();
  const tokens = useInfiniteQuery(tokensQuery(tenant.id));
  const [creates, setCreates] = useState(false);
  const refresh = () => void client.invalidateQueries({ queryKey: ["tokens"] });

  return (
    <>
      <PageHeader title="API tokens" docs="configuration">
        <Button variant="primary" onClick={() => setCreates(true)}>
          Create a token
        </Button>
      </PageHeader>
      <PagedTable
        label="API tokens"
        query={tokens}
        keyOf={(token) => token.metadata.id}
        empty={
          <Notice title="No tokens">
            <p>A program carries a token to say which tenant it speaks for. Create one to connect a worker.</p>
          </Notice>
        }
        columns={[
          { title: "Name", cell: (token) => token.name },
          { title: "Created", cell: (token) => <Ago instantMs={token.metadata.createdAt} /> },
          { title: "Expires", cell: (token) => <Expiry atMs={token.expiresAt} /> },
          {
            title: "Revoke",
            isUntitled: true,
            cell: (token) => (
              <ConfirmButton
                label="Revoke"
                accessibleName={`Revoke ${token.name}`}
                title={`Revoke ${token.name}?`}
                confirm="Revoke it"
                act={() => revokeToken(token.metadata.id)}
                onDone={refresh}
              >
                <p>Programs that carry it are refused from now on, and their open streams end within five seconds. This cannot be taken back.</p>
              </ConfirmButton>
            ),
          },
        ]}
      />
      {creates && <CreateToken tenantId={tenant.id} onClose={() => setCreates(false)} />}
    </>
  );
}

function Expiry({ atMs }: { atMs: number }) {
  return atMs < useNowMs() ? <span className="text-failed">expired</span> : <LocalTime instantMs={atMs} />;
}

function CreateToken({ tenantId, onClose }: { tenantId: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const [life, setLife] = useState<string>("2160h");
  return (
    <FormDialog
      title="Create a token"
      onClose={onClose}
      problems={{ name: name.trim() === "" ? "Give it a name." : null, expiresIn: null }}
      act={() => createToken(tenantId, name.trim(), life)}
      submit="Create"
      submitting="Creating…"
      touches={["tokens"]}
      done={(token) => ({ title: `Token ${name.trim()}`, content: <ShownOnce environment={environmentOf(token)} /> })}
    >
      {(problemAt) => (
        <>
          <Field label="Name" hint="Where it will be used, for example “billing workers”." error={problemAt("name")}>
            {(props) => <Input {...props} value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />}
          </Field>
          <Field label="Valid for" error={problemAt("expiresIn")}>
            {(props) => (
              <Select {...props} value={life} onChange={(event) => setLife(event.target.value)}>
                {LIVES.map(({ label, value }) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </Select>
            )}
          </Field>
        </>
      )}
    </FormDialog>
  );
}

function ShownOnce({ environment }: { environment: string }) {
  return (
    <>
      <p className="text-sm">This is shown once. Put it where your program finds its environment:</p>
      <div className="relative mt-3 rounded-md bg-sunken">
        <div className="absolute top-2 right-2">
          <CopyButton label="environment" text={environment} />
        </div>
        <pre
          role="region"
          aria-label="Environment"
          // A scrollable region must be reachable by keyboard to be scrolled by keyboard.
          // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
          tabIndex={0}
          className="max-h-60 overflow-auto px-3 py-2 pr-20 font-mono text-xs break-all whitespace-pre-wrap"
        >
          {environment}
        </pre>
      </div>
    </>
  );
}
