/**
 * Text that others wrote: agents, manifests, repositories, tools. It is shown as text, apart from the direction of what
 * stands around it, and what would hide or reorder something becomes a visible escape.
 */
import { HIDDEN, safeText } from "@opensentience/protocol";
import { Fragment, type ReactNode } from "react";

const UNSEEN = new RegExp(`([\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f${HIDDEN}]+)`, "u");
const ONE_LINE_UNSEEN = new RegExp(`([\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f${HIDDEN}]+)`, "u");
const PLAIN = /^[\t\x20-\x7e]*$/;

/** SECURITY: a name or line with controls or bidi marks could pass for another one; pinned by "hostile texts are shown as text". */
export function OutsideText({ text, lines = false }: { text: string; lines?: boolean }) {
  return <bdi>{visible(text, lines)}</bdi>;
}

/** The pieces of a text, escapes set apart. With `lines` line breaks stay what they are. */
export function visible(text: string, lines = false): ReactNode {
  if (PLAIN.test(text)) return text;
  const parts = text.split(lines ? UNSEEN : ONE_LINE_UNSEEN);
  return parts.map((part, index) =>
    index % 2 === 0 ? (
      <Fragment key={index}>{part}</Fragment>
    ) : (
      <span key={index} className="unseen">
        {safeText(part)}
      </span>
    ),
  );
}
