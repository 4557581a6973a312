/** Asks somebody into the tenant, and shows the link that lets them in. */
import { useState } from "react";

import { invite } from "../../services/members";
import type { Role } from "../../services/roles";
import { FormDialog } from "../FormDialog";
import { Field, Input } from "../ui/field";
import { InviteLink } from "./InviteLink";
import { RoleField } from "./RoleField";

export function InviteDialog({ tenantId, mayMakeOwners, onClose }: { tenantId: string; mayMakeOwners: boolean; onClose: () => void }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("MEMBER");
  return (
    <FormDialog
      title="Invite somebody"
      onClose={onClose}
      problems={{ email: email.includes("@") ? null : "Give their e-mail address.", role: null }}
      act={() => invite(tenantId, email.trim(), role)}
      submit="Invite"
      submitting="Inviting…"
      touches={["invites"]}
      done={(made) => ({ title: `Invite for ${made.email}`, content: <InviteLink invite={made} /> })}
    >
      {(problemAt) => (
        <>
          <Field label="E-mail" hint="The link lets in the person with this address, and nobody else." error={problemAt("email")}>
            {(props) => <Input {...props} type="email" autoComplete="off" value={email} maxLength={254} onChange={(event) => setEmail(event.target.value)} />}
          </Field>
          <RoleField role={role} onChange={setRole} mayMakeOwners={mayMakeOwners} problem={problemAt("role")} />
        </>
      )}
    </FormDialog>
  );
}
