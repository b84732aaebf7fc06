/**
 * Colours of a line of output, as names of classes. A sequence that only colours or emphasises is honoured; everything
 * else that a terminal would obey (moving, clearing, titles, links) stays in the text, where it is shown as an escape.
 *
 * SECURITY: backgrounds and "hidden" are left out: a line must not be made unreadable; pinned by "leaves nothing that hides text".
 */
import Anser from "anser";

export type Piece = { text: string; className: string };

/** Only sequences that end in `m` are the parser's business. */
const COLOUR = /\x1b\[[0-9;]*m/;
const EMPHASIS: Record<string, string> = {
  bold: "ansi-bold",
  dim: "ansi-dim",
  italic: "ansi-italic",
  underline: "ansi-underline",
  strikethrough: "ansi-strike",
};

export function ansiPieces(line: string): Piece[] {
  if (!COLOUR.test(line)) return [{ text: line, className: "" }];
  const parser = new Anser();
  const pieces: Piece[] = [];
  let className = "";
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (COLOUR.test(part)) className = classOf(parser, part);
    else if (part !== "") pieces.push({ text: part, className });
  }
  return pieces;
}

/** The parser remembers what was set before, so one of its own serves each line. */
function classOf(parser: Anser, sequence: string): string {
  const [, after] = parser.ansiToJson(`${sequence}x`, { json: true, use_classes: true });
  const found = after ?? parser.ansiToJson("x", { json: true, use_classes: true })[0];
  if (found === undefined) return "";
  const colour = /^ansi-(bright-)?(black|red|green|yellow|blue|magenta|cyan|white)$/.test(found.fg) ? found.fg : "";
  const emphasis = found.decorations.flatMap((name) => EMPHASIS[name] ?? []);
  return [colour, ...emphasis].filter((name) => name !== "").join(" ");
}
