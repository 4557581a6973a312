import { useState } from "react";

import { createToken, TOKEN_ROLES, type TokenRole } from "../../services/tokens";
import { FormDialog } from "../FormDialog";
import { Field, Input, Select } from "../ui/field";
import { ShownOnce } from "./ShownOnce";

const LIVES = [
  { label: "30 days", value: "720h" },
  { label: "90 days", value: "2160h" },
  { label: "1 year", value: "8760h" },
  { label: "10 years", value: "87600h" },
] as const;

export function CreateToken({ tenantId, onClose }: { tenantId: string; onClose: () => void }) {
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
