import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";

import { CopyButton } from "../components/CopyButton";
import { FormDialog } from "../components/FormDialog";
import { PageHeader } from "../components/PageHeader";
import { DeleteTenant } from "../components/people/DeleteTenant";
import { MyInvites } from "../components/people/MyInvites";
import { useSwitchTenant } from "../components/TenantSwitch";
import { Button } from "../components/ui/button";
import { Card, CardHeader } from "../components/ui/card";
import { Field, Input } from "../components/ui/field";
import { sessionQuery, type Tenant } from "../services/session";
import { createTenant, renameTenant, slugOf } from "../services/tenants";
import { useSession } from "./useSession";
import { useTitle } from "./useTitle";

const NAME_LENGTH_MAX = 255;

export function TenantPage() {
  useTitle("Tenant");
  const { tenant, role, user, memberships } = useSession();
  const [asks, setAsks] = useState<"rename" | "create" | "delete" | null>(null);
  const switchTenant = useSwitchTenant();
  return (
    <>
      <PageHeader title="Tenant" docs="console#settings">
        <Button needs="changeTenant" onClick={() => setAsks("rename")}>
          Rename
        </Button>
        <Button variant="danger" needs="deleteTenant" onClick={() => setAsks("delete")}>
          Delete
        </Button>
        <Button variant="primary" onClick={() => setAsks("create")}>
          Create a tenant
        </Button>
      </PageHeader>
      {user !== null && <MyInvites />}
      <Card className="mb-6" aria-label="This tenant">
        <CardHeader title={tenant.name} />
        <dl className="grid grid-cols-[auto_minmax(0,1fr)] items-center gap-x-6 gap-y-2 p-4 text-sm">
          <dt className="text-ink-soft">Slug</dt>
          <dd className="font-mono text-xs break-all">{tenant.slug}</dd>
          <dt className="text-ink-soft">Id</dt>
          <dd className="flex flex-wrap items-center gap-2">
            <span className="font-mono text-xs break-all">{tenant.id}</span>
            <CopyButton label="tenant id" text={tenant.id} />
          </dd>
          <dt className="text-ink-soft">Your role</dt>
          <dd>{role}</dd>
        </dl>
      </Card>
      <Card aria-label="Your tenants">
        <CardHeader title={memberships.length === 1 ? "You belong to one tenant" : `You belong to ${memberships.length} tenants`} />
        <ul>
          {memberships.map(({ tenant: mine, role: myRole }) => (
            <li key={mine.id} className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2 text-sm last:border-0">
              <span className="min-w-0 break-words">
                <span className="font-medium">{mine.name}</span>{" "}
                <span className="text-ink-soft">
                  {mine.slug} · {myRole}
                </span>
              </span>
              {mine.id === tenant.id ? (
                <span className="text-ink-soft">shown now</span>
              ) : (
                <Button size="small" aria-label={`Switch to ${mine.name}`} onClick={() => void switchTenant(mine.id)}>
                  Switch to it
                </Button>
              )}
            </li>
          ))}
        </ul>
      </Card>
      {asks === "rename" && <RenameTenant tenant={tenant} onClose={() => setAsks(null)} />}
      {asks === "delete" && <DeleteTenant tenant={tenant} onClose={() => setAsks(null)} />}
      {asks === "create" && <CreateTenant onClose={() => setAsks(null)} />}
    </>
  );
}

function problemOfName(name: string): string | null {
  return name.trim() === "" ? "Give it a name." : null;
}

function RenameTenant({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const [name, setName] = useState(tenant.name);
  return (
    <FormDialog
      title={`Rename ${tenant.name}`}
      onClose={onClose}
      problems={{ name: problemOfName(name) }}
      act={() => renameTenant(tenant.id, name.trim())}
      submit="Rename"
      submitting="Renaming…"
      onDone={() => {
        onClose();
        client.removeQueries({ queryKey: sessionQuery.queryKey });
        void router.invalidate();
      }}
    >
      {(problemAt) => (
        <Field label="Name" hint={`Its slug stays ${tenant.slug}, so commands and tokens go on working.`} error={problemAt("name")}>
          {(props) => <Input {...props} value={name} maxLength={NAME_LENGTH_MAX} onChange={(event) => setName(event.target.value)} />}
        </Field>
      )}
    </FormDialog>
  );
}

function CreateTenant({ onClose }: { onClose: () => void }) {
  const switchTenant = useSwitchTenant();
  const [name, setName] = useState("");
  const [ownSlug, setOwnSlug] = useState<string | null>(null);
  const slug = ownSlug ?? slugOf(name);
  return (
    <FormDialog
      title="Create a tenant"
      onClose={onClose}
      problems={{
        name: problemOfName(name),
        slug: slug === "" ? "Give it a slug of letters, digits, dots, hyphens or underscores." : null,
      }}
      act={() => createTenant(name.trim(), slug)}
      submit="Create"
      submitting="Creating…"
      onDone={(tenantId) => {
        onClose();
        void switchTenant(tenantId);
      }}
    >
      {(problemAt) => (
        <>
          <p className="mb-3 text-sm">It starts empty, with workflows, runs, workers and tokens of its own. You own it, and it is shown next.</p>
          <Field label="Name" error={problemAt("name")}>
            {(props) => <Input {...props} value={name} maxLength={NAME_LENGTH_MAX} onChange={(event) => setName(event.target.value)} />}
          </Field>
          <Field label="Slug" hint="Its name in commands." error={problemAt("slug")}>
            {(props) => <Input {...props} value={slug} maxLength={255} onChange={(event) => setOwnSlug(event.target.value)} />}
          </Field>
        </>
      )}
    </FormDialog>
  );
}
