/** Puts a new token in the place of another one, and says until when that goes on counting. */
import { useState } from "react";

import { rotateToken, type ApiToken } from "../../services/tokens";
import { FormDialog } from "../FormDialog";
import { LocalTime } from "../Times";
import { Field, Select } from "../ui/field";
import { ShownOnce } from "./ShownOnce";

const OVERLAPS = [
  { label: "not at all", value: "0s" },
  { label: "1 hour", value: "1h" },
  { label: "24 hours", value: "24h" },
  { label: "7 days", value: "168h" },
  { label: "30 days", value: "720h" },
] as const;

export function RotateToken({ token, onClose }: { token: ApiToken; onClose: () => void }) {
  const [overlap, setOverlap] = useState<string>("24h");
  return (
    <FormDialog
      title={`Rotate ${token.name}`}
      onClose={onClose}
      problems={{ overlap: null }}
      act={() => rotateToken(token.metadata.id, overlap)}
      submit="Rotate"
      submitting="Rotating…"
      touches={["tokens"]}
      done={(rotated) => ({
        title: `New token for ${token.name}`,
        content: (
          <>
            <p className="mb-3 text-sm">
              The one before counts until <LocalTime instantMs={rotated.oldExpiresAt} />. Change your programs over before that; the list says
              when each token was last used.
            </p>
            <ShownOnce token={rotated.token} isOfTopic={token.topic !== null} />
          </>
        ),
      })}
    >
      {(problemAt) => (
        <>
          <p className="mb-3 text-sm">Makes another token with the same name, role and life. It is shown once.</p>
          <Field label="The old one goes on counting for" hint="Never longer than it would have anyway." error={problemAt("overlap")}>
            {(props) => (
              <Select {...props} value={overlap} onChange={(event) => setOverlap(event.target.value)}>
                {OVERLAPS.map(({ label, value }) => (
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
