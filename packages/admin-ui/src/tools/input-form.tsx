// The door of the package drags a test registry with a compiling validator along; this file is the form alone.
import Form from "@rjsf/core/lib/components/Form.js";
import type {
  ErrorSchema,
  FieldErrorProps,
  IconButtonProps,
  MultiSchemaFieldTemplateProps,
  RegistryFieldsType,
  RegistryWidgetsType,
  RJSFSchema,
  TemplatesType,
  UiSchema,
} from "@rjsf/utils";
import { isValidElement, useCallback, useMemo, useRef } from "react";
import { Button } from "../ui/button.tsx";
import type { IconName } from "../ui/icon.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { JSON_FIELD } from "./form-schema.ts";
import type { InputError } from "./input-errors.ts";
import { type FormContext, JsonField } from "./json-field.tsx";
import { schemaCheck } from "./schema-check.ts";
import { TextInput } from "./text-input.tsx";
import type { Input } from "./tool-calls.ts";

type Props = {
  /** What `formSchema` made. */
  schema: RJSFSchema;
  value: Input;
  errors: readonly InputError[];
  onChange: (value: Input) => void;
  onValid: (isValid: boolean) => void;
};

const UI: UiSchema = { "ui:submitButtonOptions": { norender: true } };

/** What nobody filled in is not sent, an empty list as little as an empty object. */
const DEFAULTS = { emptyObjectFields: "skipEmptyDefaults", arrayMinItems: { populate: "requiredOnly" } } as const;

/** The input of a tool as a form. It is never submitted: what it holds is handed on with each change. */
export function InputForm({ schema, value, errors, onChange, onValid }: Props) {
  const extraErrors = useMemo(() => errorSchema(errors), [errors]);
  const broken = useRef(new Set<string>());
  const brokenField = useCallback<FormContext["brokenField"]>(
    (id, isBroken) => {
      if (isBroken) broken.current.add(id);
      else broken.current.delete(id);
      onValid(broken.current.size === 0);
    },
    [onValid],
  );
  const formContext = useMemo(() => ({ brokenField }), [brokenField]);
  const isEmpty =
    Object.keys(schema.properties ?? {}).length === 0 &&
    ["$ref", "oneOf", "anyOf", "allOf"].every((key) => !(key in schema)) &&
    typeof schema.additionalProperties !== "object";
  if (isEmpty) return <p className="muted">This tool names no input. If it takes some, write it as JSON.</p>;
  return (
    <Form
      tagName="div"
      className="schema-form"
      schema={{ ...schema, title: "", description: "" }}
      uiSchema={UI}
      formData={value}
      formContext={formContext}
      extraErrors={extraErrors}
      validator={schemaCheck}
      noValidate
      noHtml5Validate
      experimental_defaultFormStateBehavior={DEFAULTS}
      showErrorList={false}
      idPrefix="input"
      fields={FIELDS}
      widgets={WIDGETS}
      templates={TEMPLATES}
      onChange={({ formData }) => onChange((formData ?? {}) as Input)}
    >
      <></>
    </Form>
  );
}

/** By the path that each is about. */
function errorSchema(errors: readonly InputError[]): ErrorSchema {
  const root: ErrorSchema = {};
  for (const { path, text } of errors) {
    let place = root;
    for (const part of path) place = (Object.hasOwn(place, part) ? place[part] : (place[part] = {})) as ErrorSchema;
    place.__errors = [...(place.__errors ?? []), text];
  }
  return root;
}

function FieldErrors({ errors = [], fieldPathId }: FieldErrorProps) {
  if (errors.length === 0) return null;
  return (
    <ul className="field-errors" id={`${fieldPathId.$id}__error`}>
      {errors.map((error, index) => (
        <li key={index} className="field-problem">
          {typeof error === "string" ? <OutsideText text={error} /> : error}
        </li>
      ))}
    </ul>
  );
}

/** The library's choice between alternatives has no name of its own for a screen reader. */
function Alternatives({ selector, optionSchemaField }: MultiSchemaFieldTemplateProps) {
  const { id, label } = isValidElement<{ id: string; label: string }>(selector) ? selector.props : {};
  return (
    <div className="alternatives">
      {id !== undefined && (
        <label className="visually-hidden" htmlFor={id}>
          Kind of <OutsideText text={label ?? "value"} />
        </label>
      )}
      {selector}
      {optionSchemaField}
    </div>
  );
}

function iconButton(icon: IconName, label: string) {
  return function FormButton({ onClick, disabled }: IconButtonProps) {
    return (
      <Button
        small
        icon={icon}
        aria-label={label}
        title={label}
        disabled={disabled === true}
        {...(onClick === undefined ? {} : { onClick: (event) => onClick(event) })}
      />
    );
  };
}

function AddButton({ onClick, disabled }: IconButtonProps) {
  return (
    <Button
      small
      icon="plus"
      disabled={disabled === true}
      {...(onClick === undefined ? {} : { onClick: (event) => onClick(event) })}
    >
      Add one
    </Button>
  );
}

const FIELDS = { [JSON_FIELD]: JsonField } as unknown as RegistryFieldsType;
const WIDGETS: RegistryWidgetsType = { TextWidget: TextInput };

const TEMPLATES: Partial<Omit<TemplatesType, "ButtonTemplates">> & {
  ButtonTemplates: Partial<TemplatesType["ButtonTemplates"]>;
} = {
  FieldErrorTemplate: FieldErrors,
  MultiSchemaFieldTemplate: Alternatives,
  ButtonTemplates: {
    AddButton,
    RemoveButton: iconButton("cross", "Take it away"),
    MoveUpButton: iconButton("right", "Move up"),
    MoveDownButton: iconButton("down", "Move down"),
    CopyButton: iconButton("copy", "Copy it"),
    ClearButton: iconButton("cross", "Clear"),
  },
};
