/** The parts that a form drawn from a schema is made of: our fields, our buttons, our words. */
import {
  ADDITIONAL_PROPERTY_FLAG,
  ariaDescribedByIds,
  buttonId,
  canExpand,
  descriptionId,
  enumOptionSelectedValue,
  enumOptionValueDecoder,
  enumOptionValueEncoder,
  errorId,
  getInputProps,
  type ArrayFieldItemTemplateProps,
  type ArrayFieldTemplateProps,
  type BaseInputTemplateProps,
  type FieldErrorProps,
  type FieldTemplateProps,
  type IconButtonProps,
  type MultiSchemaFieldTemplateProps,
  type ObjectFieldTemplateProps,
  type TemplatesType,
  type UnsupportedFieldProps,
  type WidgetProps,
  type WrapIfAdditionalTemplateProps,
} from "@rjsf/utils";
import { useState, type ReactNode } from "react";

import { Button } from "../components/ui/button";
import { Input, Select, TextArea } from "../components/ui/field";
import type { JsonObject } from "./json";

// Fields -------------------------------------------------------------------------------------------------------------

function FieldTemplate(props: FieldTemplateProps<JsonObject>) {
  const { id, label, required, displayLabel, rawDescription, children, errors, hidden } = props;
  if (hidden) return <div className="hidden">{children}</div>;
  return (
    <WrapIfAdditional {...props}>
      {displayLabel && (
        <label htmlFor={id} className="mb-1 block text-sm font-medium break-words">
          {label}
          {required && <Required />}
        </label>
      )}
      {children}
      {displayLabel && rawDescription !== undefined && rawDescription !== "" && (
        <p id={descriptionId(id)} className="mt-1 text-xs text-ink-soft">
          {rawDescription}
        </p>
      )}
      {errors}
    </WrapIfAdditional>
  );
}

function Required() {
  return (
    <span className="ml-1 text-xs font-normal text-ink-soft" aria-hidden>
      required
    </span>
  );
}

function FieldErrors({ errors = [], fieldPathId }: FieldErrorProps<JsonObject>) {
  if (errors.length === 0) return null;
  return (
    <p id={errorId(fieldPathId)} role="alert" className="mt-1 text-xs break-words text-failed">
      {errors.map((error, index) => (
        <span key={index} className="block">
          {error}
        </span>
      ))}
    </p>
  );
}

/** A property that the schema does not name has a name that can be changed, and can be taken out. */
function WrapIfAdditional({
  id,
  label,
  disabled,
  schema,
  children,
  onKeyRenameBlur,
  onRemoveProperty,
}: Omit<WrapIfAdditionalTemplateProps<JsonObject>, "children"> & { children: ReactNode }) {
  if (!(ADDITIONAL_PROPERTY_FLAG in schema)) return <div className="mb-3">{children}</div>;
  return (
    <div className="mb-3 grid grid-cols-[minmax(0,1fr)_minmax(0,2fr)_auto] items-start gap-2">
      <div>
        <label htmlFor={`${id}-key`} className="mb-1 block text-sm font-medium">
          Name
        </label>
        <Input id={`${id}-key`} defaultValue={label} key={label} disabled={disabled} onBlur={onKeyRenameBlur} />
      </div>
      <div className="min-w-0">{children}</div>
      <Button size="small" className="mt-6" disabled={disabled} onClick={onRemoveProperty} aria-label={`Remove ${label}`}>
        Remove
      </Button>
    </div>
  );
}

// Groups -------------------------------------------------------------------------------------------------------------

function Group({ id, title, required, description, children }: {
  id: string;
  title: string | undefined;
  required: boolean | undefined;
  description: ReactNode;
  children: ReactNode;
}) {
  return (
    <fieldset id={id} className="min-w-0 rounded-md border border-line px-3 pt-1 pb-0">
      <legend className="px-1 text-sm font-medium break-words">
        {title}
        {required && <Required />}
      </legend>
      {description !== undefined && description !== "" && <p className="mb-2 text-xs text-ink-soft">{description}</p>}
      {children}
    </fieldset>
  );
}

function ObjectFieldTemplate(props: ObjectFieldTemplateProps<JsonObject>) {
  const { fieldPathId, title, description, required, properties, schema, uiSchema, formData, disabled, onAddProperty, registry } = props;
  const isPureUnion = (schema.oneOf ?? schema.anyOf) !== undefined && schema.properties === undefined && properties.length === 0;
  if (isPureUnion) return null;
  const content = (
    <>
      {properties.map((property) => property.content)}
      {canExpand(schema, uiSchema, formData) && (
        <div className="mb-3">
          <AddButton id={buttonId(fieldPathId, "add")} disabled={disabled} onClick={onAddProperty} registry={registry} title={`Add to ${title === "" ? "the input" : title}`} />
        </div>
      )}
    </>
  );
  // The input itself needs no frame and no name: it is what the form is for.
  if (fieldPathId.path.length === 0) return <div id={fieldPathId.$id}>{content}</div>;
  return (
    <Group id={fieldPathId.$id} title={title} required={required} description={description}>
      {content}
    </Group>
  );
}

function ArrayFieldTemplate(props: ArrayFieldTemplateProps<JsonObject>) {
  const { fieldPathId, title, required, schema, items, canAdd, disabled, onAddClick, registry } = props;
  return (
    <Group id={fieldPathId.$id} title={title} required={required} description={schema.description}>
      {items.length === 0 && <p className="mb-2 text-xs text-ink-soft">Nothing in it yet.</p>}
      {items}
      {canAdd && (
        <div className="mb-3">
          <AddButton id={buttonId(fieldPathId, "add")} disabled={disabled} onClick={onAddClick} registry={registry} title={`Add to ${title}`} />
        </div>
      )}
    </Group>
  );
}

function ArrayFieldItemTemplate({ children, buttonsProps, index }: ArrayFieldItemTemplateProps<JsonObject>) {
  const { disabled, hasMoveUp, hasMoveDown, hasRemove, onMoveUpItem, onMoveDownItem, onRemoveItem } = buttonsProps;
  return (
    <div className="mb-1">
      {children}
      <div className="-mt-2 mb-2 flex justify-end gap-1">
        {hasMoveUp && (
          <Button size="small" variant="ghost" disabled={disabled} onClick={onMoveUpItem} aria-label={`Move entry ${index + 1} up`}>
            Up
          </Button>
        )}
        {hasMoveDown && (
          <Button size="small" variant="ghost" disabled={disabled} onClick={onMoveDownItem} aria-label={`Move entry ${index + 1} down`}>
            Down
          </Button>
        )}
        {hasRemove && (
          <Button size="small" variant="ghost" disabled={disabled} onClick={onRemoveItem} aria-label={`Remove entry ${index + 1}`}>
            Remove
          </Button>
        )}
      </div>
    </div>
  );
}

/** A choice between shapes, and the fields of the one that was chosen. */
function MultiSchemaFieldTemplate({ selector, optionSchemaField }: MultiSchemaFieldTemplateProps<JsonObject>) {
  return (
    <div className="rounded-md border border-line px-3 pt-3">
      <div className="mb-2">{selector}</div>
      {optionSchemaField}
    </div>
  );
}

function UnsupportedField({ reason }: UnsupportedFieldProps<JsonObject>) {
  return <p className="text-xs text-ink-soft">Write this one as JSON, beside the form ({reason}).</p>;
}

function AddButton({ id, disabled, onClick, title }: IconButtonProps<JsonObject>) {
  return (
    <Button size="small" id={id} disabled={disabled} onClick={onClick} aria-label={title}>
      Add
    </Button>
  );
}

// Inputs -------------------------------------------------------------------------------------------------------------

function BaseInput(props: BaseInputTemplateProps<JsonObject>) {
  const value: unknown = props.value;
  const wanted = props["type"] as string | undefined;
  const { id, disabled, readonly, options, schema, placeholder, onChange, onChangeOverride, onBlur, onFocus, rawErrors } = props;
  const shown = typeof value === "string" || typeof value === "number" ? String(value) : "";
  // One line cannot show a text of several, and would lose them.
  const [isLong] = useState(() => shown.includes("\n"));
  const common = {
    id,
    disabled: disabled || readonly,
    placeholder,
    value: shown,
    "aria-describedby": ariaDescribedByIds(id),
    "aria-invalid": rawErrors !== undefined && rawErrors.length > 0,
    onBlur: () => onBlur(id, value),
    onFocus: () => onFocus(id, value),
  };
  const change = (text: string): void => onChange(text === "" ? options.emptyValue : text);
  if (isLong) return <TextArea {...common} rows={6} onChange={(event) => change(event.target.value)} />;
  const { type, step, min, max } = getInputProps<JsonObject>(schema, wanted, options);
  return <Input {...common} type={type} step={step} min={min} max={max} onChange={onChangeOverride ?? ((event) => change(event.target.value))} />;
}

function Checkbox({ id, value, disabled, readonly, label, schema, onChange, rawErrors }: WidgetProps<JsonObject>) {
  return (
    <>
      <label className="flex items-center gap-2 text-sm font-medium">
        <input
          id={id}
          type="checkbox"
          className="size-4 accent-(--accent)"
          checked={value === true}
          disabled={disabled === true || readonly === true}
          aria-describedby={ariaDescribedByIds(id)}
          aria-invalid={rawErrors !== undefined && rawErrors.length > 0}
          onChange={(event) => onChange(event.target.checked)}
        />
        {label}
      </label>
      {schema.description !== undefined && (
        <p id={descriptionId(id)} className="mt-1 text-xs text-ink-soft">
          {schema.description}
        </p>
      )}
    </>
  );
}

function Choice(props: WidgetProps<JsonObject>) {
  const value: unknown = props.value;
  const { id, disabled, readonly, multiple, options, schema, placeholder, onChange, rawErrors, label } = props;
  const isMany = multiple === true;
  const selected = enumOptionSelectedValue(value, options.enumOptions, isMany, "indexed", isMany ? [] : "") as string | string[];
  return (
    <Select
      id={id}
      // A choice between shapes comes without a label of its own.
      aria-label={label === "" ? "Shape" : undefined}
      value={selected}
      multiple={isMany}
      className={isMany ? "h-24" : undefined}
      disabled={disabled === true || readonly === true}
      aria-describedby={ariaDescribedByIds(id)}
      aria-invalid={rawErrors !== undefined && rawErrors.length > 0}
      onChange={({ target }) => {
        const chosen = isMany ? [...target.selectedOptions].map((option) => option.value) : target.value;
        const decoded: unknown = enumOptionValueDecoder(chosen, options.enumOptions, "indexed", options.emptyValue);
        onChange(decoded);
      }}
    >
      {!isMany && schema.default === undefined && <option value="">{placeholder}</option>}
      {options.enumOptions?.map((option, index) => (
        <option key={index} value={enumOptionValueEncoder(option.value, index, "indexed")}>
          {option.label}
        </option>
      ))}
    </Select>
  );
}

export const TEMPLATES: Partial<TemplatesType<JsonObject>> = {
  ArrayFieldItemTemplate,
  ArrayFieldTemplate,
  BaseInputTemplate: BaseInput,
  FieldErrorTemplate: FieldErrors,
  FieldTemplate,
  MultiSchemaFieldTemplate,
  ObjectFieldTemplate,
  UnsupportedFieldTemplate: UnsupportedField,
};
export const WIDGETS = { CheckboxWidget: Checkbox, SelectWidget: Choice };
