import type { ButtonHTMLAttributes, ReactNode } from "react";
import { Icon, type IconName } from "./icon.tsx";

export type ButtonKind = "primary" | "plain" | "quiet" | "danger";

type Props = ButtonHTMLAttributes<HTMLButtonElement> & {
  kind?: ButtonKind;
  icon?: IconName;
  busy?: boolean;
  small?: boolean;
  /** Without it the button is its icon alone, and `aria-label` has to say what it does. */
  children?: ReactNode;
};

/** While `busy` it takes no press, but keeps the focus that it has. */
export function Button({ kind = "plain", icon, busy = false, small = false, children, ...rest }: Props) {
  const classes = [
    "button",
    `button-${kind}`,
    small ? "button-small" : "",
    children === undefined ? "button-icon" : "",
  ];
  return (
    <button
      type="button"
      {...rest}
      className={[...classes, rest.className ?? ""].filter((name) => name !== "").join(" ")}
      aria-busy={busy || undefined}
      aria-disabled={busy || rest.disabled || undefined}
      onClick={busy ? (event) => event.preventDefault() : rest.onClick}
    >
      {busy ? <span className="spinner" aria-hidden="true" /> : icon !== undefined && <Icon name={icon} />}
      {children}
    </button>
  );
}
