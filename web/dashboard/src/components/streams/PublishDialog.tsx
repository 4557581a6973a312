/** Publishes a message, to a topic that may come to be with it. */
import { useState } from "react";

import { publishMessage } from "../../services/streams";
import { FormDialog } from "../FormDialog";
import { Field, Input, TextArea } from "../ui/field";

const NAME_CHARS_MAX = 255;

export function PublishDialog({
  tenantId,
  namespace: itsNamespace = "",
  topic: itsTopic = null,
  onClose,
}: {
  tenantId: string;
  namespace?: string;
  /** Null: it is asked for. */
  topic?: string | null;
  onClose: () => void;
}) {
  const [namespace, setNamespace] = useState(itsNamespace);
  const [topic, setTopic] = useState(itsTopic ?? "");
  const [text, setText] = useState("");
  return (
    <FormDialog
      title={itsTopic === null ? "Publish a message" : `Publish to ${itsTopic}`}
      onClose={onClose}
      problems={{
        topic: topic === "" ? "Give it a topic." : topic.length > NAME_CHARS_MAX ? `At most ${NAME_CHARS_MAX} characters.` : null,
        namespace:
          namespace.length > NAME_CHARS_MAX
            ? `At most ${NAME_CHARS_MAX} characters.`
            : namespace.includes("/") || namespace === "-"
              ? "A namespace with a slash, or a dash alone, cannot be named here."
              : null,
        payload: null,
      }}
      act={() => publishMessage(tenantId, namespace, topic, text)}
      submit="Publish"
      submitting="Publishing…"
      touches={["streams"]}
    >
      {(problemAt) => (
        <>
          {itsTopic === null && (
            <>
              <Field label="Topic" error={problemAt("topic")}>
                {(props) => <Input {...props} value={topic} onChange={(event) => setTopic(event.target.value)} />}
              </Field>
              <Field label="Namespace" hint="Most topics have none." error={problemAt("namespace")}>
                {(props) => <Input {...props} value={namespace} onChange={(event) => setNamespace(event.target.value)} />}
              </Field>
            </>
          )}
          <Field label="Message" error={problemAt("payload")}>
            {(props) => <TextArea {...props} rows={6} value={text} onChange={(event) => setText(event.target.value)} />}
          </Field>
        </>
      )}
    </FormDialog>
  );
}
