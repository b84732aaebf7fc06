/** Labelled inputs; the hint belongs to the input for a screen reader too. */
import { type ReactNode, useId } from "react";

type TextProps = {
  label: string;
  hint?: ReactNode;
  value: string;
  onChange: (value: string) => void;
  rows?: number;
  code?: boolean;
  type?: "text" | "password" | "search";
  autoFocus?: boolean;
};

export function TextField({ label, hint, value, onChange, rows, code = false, type = "text", autoFocus }: TextProps) {
  const id = useId();
  const rest = {
    id,
    value,
    className: code ? "input code" : "input",
    spellCheck: false,
    autoComplete: "off",
    ...(hint === undefined ? {} : { "aria-describedby": `${id}-hint` }),
    ...(autoFocus === undefined ? {} : { autoFocus }),
  };
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {rows === undefined ? (
        <input type={type} {...rest} onChange={(event) => onChange(event.target.value)} />
      ) : (
        <textarea rows={rows} {...rest} onChange={(event) => onChange(event.target.value)} />
      )}
      {hint !== undefined && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

type CheckProps = {
  label: ReactNode;
  hint?: ReactNode;
  checked: boolean;
  onChange: (checked: boolean) => void;
};

export function Check({ label, hint, checked, onChange }: CheckProps) {
  const id = useId();
  return (
    <div className="check">
      <input
        type="checkbox"
        id={id}
        checked={checked}
        onChange={(event) => onChange(event.target.checked)}
        {...(hint === undefined ? {} : { "aria-describedby": `${id}-hint` })}
      />
      <label htmlFor={id}>{label}</label>
      {hint !== undefined && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

type ChoiceProps<T extends string> = {
  label: string;
  value: T;
  onChange: (value: T) => void;
  options: readonly (readonly [T, string])[];
  hideLabel?: boolean;
};

export function Choice<T extends string>({ label, value, onChange, options, hideLabel = false }: ChoiceProps<T>) {
  const id = useId();
  return (
    <div className={hideLabel ? "field field-inline" : "field"}>
      <label htmlFor={id} className={hideLabel ? "visually-hidden" : undefined}>
        {label}
      </label>
      <select id={id} className="input" value={value} onChange={(event) => onChange(event.target.value as T)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}
