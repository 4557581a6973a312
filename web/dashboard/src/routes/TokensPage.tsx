import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";

import { ConfirmButton } from "../components/ConfirmButton";
import { FormDialog } from "../components/FormDialog";
import { Notice } from "../components/Notice";
import { PagedTable } from "../components/PagedTable";
import { PageHeader } from "../components/PageHeader";
import { SearchBox } from "../components/SearchBox";
import { Ago, LocalTime } from "../components/Times";
import { TokenEnvironment } from "../components/TokenEnvironment";
import { Button } from "../components/ui/button";
import { Field, Input, Select } from "../components/ui/field";
import { Tabs } from "../components/ui/tabs";
import { createToken, revokeToken, SDKS, TOKEN_ROLES, tokensQuery, type Sdk, type TokenRole } from "../services/tokens";
import { useNowMs } from "../time/now";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const route = getRouteApi("/session/settings/tokens");

const LIVES = [
  { label: "30 days", value: "720h" },
  { label: "90 days", value: "2160h" },
  { label: "1 year", value: "8760h" },
  { label: "10 years", value: "87600h" },
] as const;

export function TokensPage() {
  useTitle("API tokens");
  const { tenant } = useSession();
  const { search = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const client = useQueryClient();
  const tokens = useInfiniteQuery(tokensQuery(tenant.id, search));
  const [creates, setCreates] = useState(false);
  const refresh = () => void client.invalidateQueries({ queryKey: ["tokens"] });

  return (
    <>
      <PageHeader title="API tokens" docs="team#tokens">
        <SearchBox
          label="Search by name"
          value={search}
          onChange={(text) => void navigate({ search: { search: text === "" ? undefined : text }, replace: true })}
        />
        <Button variant="primary" onClick={() => setCreates(true)}>
          Create a token
        </Button>
      </PageHeader>
      <PagedTable
        label="API tokens"
        query={tokens}
        keyOf={(token) => token.metadata.id}
        empty={
          search !== "" ? (
            <Notice title="No token is called that">
              <p>
                No token of {tenant.name} has “{search}” in its name.
              </p>
            </Notice>
          ) : (
            <Notice title="No tokens">
              <p>A program carries a token to say which tenant it speaks for. Create one to connect a worker.</p>
            </Notice>
          )
        }
        columns={[
          { title: "Name", cell: (token) => token.name },
          { title: "Role", cell: (token) => token.role },
          {
            title: "Created",
            cell: (token) => (
              <>
                <Ago instantMs={token.metadata.createdAt} />
                {token.madeBy !== null && <span className="text-ink-soft"> by {token.madeBy}</span>}
              </>
            ),
          },
          {
            title: "Last used",
            cell: (token) => (token.lastUsedAt === null ? "never" : <Ago instantMs={token.lastUsedAt} />),
          },
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
  const [role, setRole] = useState<TokenRole>("ADMIN");
  return (
    <FormDialog
      title="Create a token"
      onClose={onClose}
      problems={{ name: name.trim() === "" ? "Give it a name." : null, expiresIn: null, role: null }}
      act={() => createToken(tenantId, name.trim(), life, role)}
      submit="Create"
      submitting="Creating…"
      touches={["tokens"]}
      done={(token) => ({ title: `Token ${name.trim()}`, content: <ShownOnce token={token} /> })}
    >
      {(problemAt) => (
        <>
          <Field label="Name" hint="Where it will be used, for example “billing workers”." error={problemAt("name")}>
            {(props) => <Input {...props} value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />}
          </Field>
          <Field label="Role" hint={`${role} ${TOKEN_ROLES.find((each) => each.role === role)?.means ?? ""}.`} error={problemAt("role")}>
            {(props) => (
              <Select
                {...props}
                value={role}
                onChange={(event) => setRole(TOKEN_ROLES.find((each) => each.role === event.target.value)?.role ?? role)}
              >
                {TOKEN_ROLES.map((each) => (
                  <option key={each.role} value={each.role}>
                    {each.role}
                  </option>
                ))}
              </Select>
            )}
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

function ShownOnce({ token }: { token: string }) {
  const [sdk, setSdk] = useState<Sdk>("Python");
  return (
    <>
      <p className="mb-3 text-sm">This is shown once. Put it where your program finds its environment:</p>
      <Tabs label="SDK" tabs={SDKS.map((name) => ({ id: name, label: name }))} chosen={sdk} onChoose={setSdk}>
        <div className="mt-3">
          <TokenEnvironment token={token} sdk={sdk} />
        </div>
      </Tabs>
    </>
  );
}
