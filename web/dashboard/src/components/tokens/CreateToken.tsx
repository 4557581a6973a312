import { useState } from "react";

import { createToken, TOKEN_ROLES, type TokenRole } from "../../services/tokens";
import { FormDialog } from "../FormDialog";
import { Field, Input, Select } from "../ui/field";
import { ShownOnce } from "./ShownOnce";

const LIVES = [
  { label: "1 hour", value: "1h" },
  { label: "1 day", value: "24h" },
  { label: "30 days", value: "720h" },
  { label: "90 days", value: "2160h" },
  { label: "1 year", value: "8760h" },
  { label: "10 years", value: "87600h" },
] as const;

/** Beside the roles: for the browser of somebody who shall see nothing else. */
const ONE_TOPIC = "TOPIC";
const TOPIC_MEANS = "reads one topic over HTTP, for somebody’s browser, and is refused everything else";

export function CreateToken({ tenantId, onClose }: { tenantId: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const [life, setLife] = useState<string>("2160h");
  const [role, setRole] = useState<TokenRole | typeof ONE_TOPIC>("ADMIN");
  const [topic, setTopic] = useState("");
  const [namespace, setNamespace] = useState("");
  const isOfTopic = role === ONE_TOPIC;
  const means = isOfTopic ? `It ${TOPIC_MEANS}.` : `${role} ${TOKEN_ROLES.find((each) => each.role === role)?.means ?? ""}.`;
  return (
    <FormDialog
      title="Create a token"
      onClose={onClose}
      problems={{
        name: name.trim() === "" ? "Give it a name." : null,
        expiresIn: null,
        role: null,
        topic: isOfTopic && topic === "" ? "Say which topic it reads." : null,
      }}
      act={() => createToken(tenantId, name.trim(), life, isOfTopic ? { topic: { namespace, name: topic } } : { role })}
      submit="Create"
      submitting="Creating…"
      touches={["tokens"]}
      done={(token) => ({ title: `Token ${name.trim()}`, content: <ShownOnce token={token} isOfTopic={isOfTopic} /> })}
    >
      {(problemAt) => (
        <>
          <Field label="Name" hint="Where it will be used, for example “billing workers”." error={problemAt("name")}>
            {(props) => <Input {...props} value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />}
          </Field>
          <Field label="Role" hint={means} error={problemAt("role")}>
            {(props) => (
              <Select
                {...props}
                value={role}
                onChange={(event) => {
                  const chosen = TOKEN_ROLES.find((each) => each.role === event.target.value)?.role ?? ONE_TOPIC;
                  // Such a token is in a browser, which is nobody's safe.
                  setLife((chosen === ONE_TOPIC) === isOfTopic ? life : chosen === ONE_TOPIC ? "24h" : "2160h");
                  setRole(chosen);
                }}
              >
                {TOKEN_ROLES.map((each) => (
                  <option key={each.role} value={each.role}>
                    {each.role}
                  </option>
                ))}
                <option value={ONE_TOPIC}>One topic</option>
              </Select>
            )}
          </Field>
          {isOfTopic && (
            <>
              <Field label="Topic" hint="As it is published to, for example “orders/17”." error={problemAt("topic")}>
                {(props) => <Input {...props} value={topic} maxLength={255} onChange={(event) => setTopic(event.target.value)} />}
              </Field>
              <Field label="Namespace" hint="Leave it empty for topics without one.">
                {(props) => <Input {...props} value={namespace} maxLength={255} onChange={(event) => setNamespace(event.target.value)} />}
              </Field>
            </>
          )}
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
