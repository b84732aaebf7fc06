import { useState } from "react";
import { TextField } from "../ui/field.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import type { InputError } from "./input-errors.ts";
import type { Input } from "./tool-calls.ts";

type Props = {
  value: Input;
  errors: readonly InputError[];
  onChange: (value: Input) => void;
  onValid: (isValid: boolean) => void;
};

/** The input as its author writes it. Only an object is handed on. */
export function JsonInput({ value, errors, onChange, onValid }: Props) {
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [problem, setProblem] = useState("");
  const type = (next: string): void => {
    setText(next);
    const read = readObject(next);
    setProblem(typeof read === "string" ? read : "");
    onValid(typeof read !== "string");
    if (typeof read !== "string") onChange(read);
  };
  return (
    <>
      <TextField
        label="Input as JSON"
        value={text}
        onChange={type}
        rows={8}
        code
        hint={problem === "" ? "One JSON object." : <span className="field-problem">{problem}</span>}
      />
      {errors.length > 0 && (
        <ul className="field-errors">
          {errors.map((error, index) => (
            <li key={index} className="field-problem">
              <OutsideText text={error.text} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function readObject(text: string): Input | string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Input;
    return "The input of a tool is one JSON object.";
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : "This is not JSON.";
  }
}
