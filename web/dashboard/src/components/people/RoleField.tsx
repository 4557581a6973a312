/** The choice of a role, and what it means. */
import { ROLE_MEANS } from "../../services/members";
import { ROLES, type Role } from "../../services/roles";
import { Field, Select } from "../ui/field";

export function RoleField({
  role,
  onChange,
  mayMakeOwners,
  problem,
}: {
  role: Role;
  onChange: (role: Role) => void;
  mayMakeOwners: boolean;
  problem: string | null;
}) {
  return (
    <Field label="Role" hint={`${role} ${ROLE_MEANS[role]}.`} error={problem}>
      {(props) => (
        <Select
          {...props}
          value={role}
          onChange={(event) => {
            const chosen = ROLES.find((each) => each === event.target.value);
            if (chosen !== undefined) onChange(chosen);
          }}
        >
          {ROLES.filter((each) => each !== "OWNER" || mayMakeOwners).map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
}
