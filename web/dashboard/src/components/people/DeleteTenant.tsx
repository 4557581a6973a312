/** Deletes a tenant, once its slug was typed. */
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";

import type { Tenant } from "../../services/session";
import { auditExport } from "../../services/audit";
import { deleteTenant, tenantFile } from "../../services/tenants";
import { FormDialog } from "../FormDialog";
import { Field, Input } from "../ui/field";

const EVERYTHING = { action: null, initiator: null, object: null, refused: false };

export function DeleteTenant({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const [typed, setTyped] = useState("");
  return (
    <FormDialog
      title={`Delete ${tenant.name}?`}
      onClose={onClose}
      problems={{ confirm: typed === tenant.slug ? null : `Type ${tenant.slug} to delete it.` }}
      act={() => deleteTenant(tenant.id, typed)}
      submit="Delete it for good"
      submitting="Deleting…"
      close="Keep"
      onDone={() => {
        onClose();
        client.removeQueries();
        void router.invalidate();
      }}
    >
      {(problemAt) => (
        <>
          <p className="mb-3 text-sm">
            Its workflows, runs, logs, tokens and members go with it, and this cannot be taken back. Nobody gets in from that moment, and workers
            are refused. Before that you can save{" "}
            <a className="text-accent underline" href={tenantFile(tenant.id)} download={`${tenant.slug}.jsonl`}>
              workflows, runs and members as one file
            </a>{" "}
            (without secrets, logs or traces) and{" "}
            <a className="text-accent underline" href={auditExport(tenant.id, EVERYTHING)} download="audit.jsonl">
              its audit log
            </a>
            . Whoever runs the engine can make a backup of everything with <code className="font-mono">broadaxe backup</code>.
          </p>
          <Field label={`Type ${tenant.slug} to confirm`} error={problemAt("confirm")}>
            {(props) => <Input {...props} value={typed} autoComplete="off" maxLength={255} onChange={(event) => setTyped(event.target.value)} />}
          </Field>
        </>
      )}
    </FormDialog>
  );
}
