/** For how long a tenant keeps the messages of its topics. */
import { useState } from "react";

import { putRetention, RETENTION_HOURS_MAX } from "../../services/streams";
import { FormDialog } from "../FormDialog";
import { Field, Input } from "../ui/field";
import { inDays } from "./inDays";

export function RetentionDialog({ tenantId, hours, onClose }: { tenantId: string; hours: number; onClose: () => void }) {
  const [text, setText] = useState(String(hours));
  const wanted = /^\d{1,5}$/.test(text.trim()) ? Number(text) : 0;
  const isPossible = wanted >= 1 && wanted <= RETENTION_HOURS_MAX;
  return (
    <FormDialog
      title="How long messages are kept"
      onClose={onClose}
      problems={{ retentionHours: isPossible ? null : `Between 1 and ${RETENTION_HOURS_MAX.toLocaleString()} hours.` }}
      act={() => putRetention(tenantId, wanted)}
      submit="Save"
      submitting="Saving…"
      touches={["streams"]}
    >
      {(problemAt) => (
        <Field
          label="Hours"
          hint={`${isPossible ? `${inDays(wanted)}. ` : ""}Older messages are not shown any more as soon as this is saved, and deleted after that.`}
          error={problemAt("retentionHours")}
        >
          {(props) => <Input {...props} inputMode="numeric" value={text} onChange={(event) => setText(event.target.value)} />}
        </Field>
      )}
    </FormDialog>
  );
}
