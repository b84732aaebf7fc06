import type { ErrorSchema, FieldProps } from "@rjsf/utils";
import { useEffect, useState } from "react";
import { OutsideText } from "../ui/outside-text.tsx";

/** `brokenField` is told which fields hold what is no JSON. */
export type FormContext = { brokenField: (id: string, isBroken: boolean) => void };

type Props = FieldProps<unknown, Record<string, unknown>, FormContext>;

/** A field for what no other field can hold: any JSON value. Empty is no value. */
export function JsonField({ fieldPathId, formData, onChange, errorSchema, rawErrors, registry }: Props) {
  const { $id: id, path } = fieldPathId;
  const [text, setText] = useState(() => (formData === undefined ? "" : JSON.stringify(formData, null, 2)));
  const [problem, setProblem] = useState("");
  const brokenField = registry.formContext?.brokenField;
  useEffect(() => {
    brokenField?.(id, problem !== "");
    return () => brokenField?.(id, false);
  }, [brokenField, id, problem]);
  const type = (next: string): void => {
    setText(next);
    try {
      onChange(next.trim() === "" ? undefined : (JSON.parse(next) as unknown), path);
      setProblem("");
    } catch (thrown) {
      setProblem(thrown instanceof Error ? thrown.message : "This is not JSON.");
    }
  };
  return (
    <>
      <textarea
        id={id}
        className="form-control form-lines form-document code"
        rows={Math.min(14, Math.max(3, text.split("\n").length))}
        value={text}
        spellCheck={false}
        aria-invalid={problem !== ""}
        aria-describedby={`${id}__json`}
        onChange={({ target }) => type(target.value)}
      />
      <p className="hint" id={`${id}__json`}>
        {problem === "" ? "As JSON." : <span className="field-problem">{problem}</span>}
      </p>
      {[...(rawErrors ?? []), ...innerErrors(errorSchema)].map((error, index) => (
        <p key={index} className="field-problem">
          <OutsideText text={error} />
        </p>
      ))}
    </>
  );
}

/** What Core found further inside: no field of its own shows it. */
function innerErrors(errors: ErrorSchema | undefined): string[] {
  return Object.entries(errors ?? {}).flatMap(([key, inner]) =>
    key === "__errors" ? [] : [...((inner as ErrorSchema).__errors ?? []), ...innerErrors(inner as ErrorSchema)],
  );
}
