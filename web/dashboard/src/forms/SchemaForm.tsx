/**
 * A form drawn from a JSON Schema, in the look of our own fields.
 *
 * The library reads the schema and keeps the value; every visible part is ours. It never decides what is wrong: it is
 * given the complaints, and shows each at its field. Loaded when it is first needed.
 */
// Not from the package itself, whose index also asks for a validator that we have no use for.
import Form from "@rjsf/core/lib/components/Form.js";
import type { ErrorSchema, UiSchema } from "@rjsf/utils";
import { Component, useId, useMemo, type ReactNode } from "react";

import type { Complaint, JsonObject } from "./json";
import { TEMPLATES, WIDGETS } from "./templates";
import { validator } from "./validator";

const UI: UiSchema<JsonObject> = { "ui:submitButtonOptions": { norender: true } };

export interface SchemaFormProps {
  /** As `drawable` made it. */
  readonly schema: JsonObject;
  readonly value: JsonObject;
  readonly complaints: readonly Complaint[];
  readonly disabled: boolean;
  readonly onChange: (value: JsonObject) => void;
}

export function SchemaForm({ schema, value, complaints, disabled, onChange }: SchemaFormProps) {
  const idPrefix = useId();
  const errors = useMemo(() => errorSchemaOf(complaints), [complaints]);
  return (
    <Undrawable>
      <Form<JsonObject>
        // The dialog around it is the form; one inside another is not HTML.
        tagName="div"
        idPrefix={idPrefix}
        schema={schema}
        uiSchema={UI}
        formData={value}
        disabled={disabled}
        validator={validator}
        templates={TEMPLATES}
        widgets={WIDGETS}
        extraErrors={errors}
        showErrorList={false}
        // What is left open stays out of the value; what it begins with was decided when it was opened.
        experimental_defaultFormStateBehavior={{ emptyObjectFields: "skipDefaults", arrayMinItems: { populate: "requiredOnly" } }}
        onChange={({ formData }) => onChange(formData ?? {})}
      />
    </Undrawable>
  );
}

interface ErrorTree {
  __errors?: string[];
  [part: string]: ErrorTree | string[] | undefined;
}

function errorSchemaOf(complaints: readonly Complaint[]): ErrorSchema<JsonObject> {
  const root: ErrorTree = {};
  for (const { path, message } of complaints) {
    let node = root;
    for (const part of path) {
      const next = node[part];
      const child: ErrorTree = next === undefined || Array.isArray(next) ? {} : next;
      node[part] = child;
      node = child;
    }
    node.__errors = [...(node.__errors ?? []), message];
  }
  return root;
}

/** A schema is whatever a worker sent; one that cannot be drawn must not take the editor beside it away. */
class Undrawable extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return <p className="text-sm text-ink-soft">No form can be drawn from this schema. Write the input as JSON.</p>;
  }
}
