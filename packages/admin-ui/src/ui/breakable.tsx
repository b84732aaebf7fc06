/** Ids, names of types, paths and digests: where there is no room they break as a person would break them. */
import { Fragment } from "react";
import { OutsideText } from "./outside-text.tsx";

const PLAIN = /^[\x20-\x7e]*$/;
const DIGEST = /^[0-9a-f]{40,}$/;
/** Text of others, too; what hides something is shown as OutsideText shows it. */
export function Breakable({ text }: { text: string }) {
  if (!PLAIN.test(text)) return <OutsideText text={text} />;
  return (
    <bdi>
      {parts(text).map((part, index) => (
        <Fragment key={index}>
          {index > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </bdi>
  );
}

/** All of it, in order; a line may end after each. Exported for its test. */
export function parts(text: string): string[] {
  if (!DIGEST.test(text)) return text.split(/(?<=[._/:@-])(?=[^._/:@-])/);
  // Two halves: no line is left with one letter.
  const half = Math.ceil(text.length / 2);
  return [text.slice(0, half), text.slice(half)];
}
