// The door of the package drags a test registry with a compiling validator along; this file is the form alone.
import Form from "@rjsf/core/lib/components/Form.js";
import type { IconButtonProps, TemplatesType, UiSchema } from "@rjsf/utils";
import { useMemo } from "react";
import { Button } from "../ui/button.tsx";
import type { IconName } from "../ui/icon.tsx";
import { formSchema } from "./form-schema.ts";
import { schemaCheck } from "./schema-check.ts";

type Input = Record<string, unknown>;
type Props = { schema: Record<string, unknown>; value: Input; onChange: (value: Input) => void };

const UI: UiSchema = { "ui:submitButtonOptions": { norender: true } };

/** The input of a tool as a form. It is never submitted: what it holds is handed on with each change. */
export function InputForm({ schema, value, onChange }: Props) {
  const shown = useMemo(() => formSchema(schema), [schema]);
  const isEmpty =
    Object.keys(shown.properties ?? {}).length === 0 && shown.$ref === undefined && shown.oneOf === undefined;
  if (isEmpty) return <p className="muted">This tool names no input. If it takes some, write it as JSON.</p>;
  return (
    <Form
      tagName="div"
      className="schema-form"
      schema={{ ...shown, title: "", description: "" }}
      uiSchema={UI}
      formData={value}
      validator={schemaCheck}
      noValidate
      noHtml5Validate
      idPrefix="input"
      templates={TEMPLATES}
      onChange={({ formData }) => onChange((formData ?? {}) as Input)}
    >
      <></>
    </Form>
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
      icon="down"
      disabled={disabled === true}
      {...(onClick === undefined ? {} : { onClick: (event) => onClick(event) })}
    >
      Add one
    </Button>
  );
}

const TEMPLATES: Partial<Omit<TemplatesType, "ButtonTemplates">> & {
  ButtonTemplates: Partial<TemplatesType["ButtonTemplates"]>;
} = {
  ButtonTemplates: {
    AddButton,
    RemoveButton: iconButton("cross", "Take it away"),
    MoveUpButton: iconButton("right", "Move up"),
    MoveDownButton: iconButton("down", "Move down"),
    CopyButton: iconButton("copy", "Copy it"),
    ClearButton: iconButton("cross", "Clear"),
  },
};
