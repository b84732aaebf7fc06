/**
 * Pure text for people: tables, labelled lines, short times, durations, sizes, colours.
 *
 * A plain string given to `table` or `fields` is taken as foreign (an agent, a manifest or a log may have chosen it)
 * and goes through `safeText`, so that no output of an agent can move the cursor or forge a line. Only `Painted`
 * cells keep their colour codes, and their text is made safe before it is painted.
 */
import { safeText, sizeText } from "@opensentience/protocol";

export type Color = "red" | "green" | "yellow" | "blue" | "dim" | "bold";
const CODES: Record<Color, [number, number]> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  dim: [2, 22],
  bold: [1, 22],
};

export type Cell = string | Painted;
export type Painted = { text: string; color: Color };

/** How results are shown: with colours or not, and how wide (undefined: no limit, a pipe or a file). */
export class Style {
  readonly color: boolean;
  readonly width: number | undefined;

  constructor(options: { color: boolean; width?: number | undefined }) {
    this.color = options.color;
    this.width = options.width;
  }

  /** Safe text in a colour, or just the safe text. */
  paint(color: Color, text: string): string {
    return this.#codes(color, safeText(text));
  }

  /** Aligned columns, two spaces apart; on a terminal the last column is cut at its right edge unless it holds ids to copy. */
  table(headers: readonly string[], rows: readonly (readonly Cell[])[], lastColumn: "cut" | "whole" = "cut"): string {
    const safe = rows.map((row) =>
      row.map((cell) =>
        typeof cell === "string"
          ? { text: oneLine(cell), color: undefined }
          : { text: oneLine(cell.text), color: cell.color },
      ),
    );
    const widths = headers.map((header, column) =>
      Math.max(header.length, ...safe.map((row) => length(row[column]?.text ?? ""))),
    );
    const last = headers.length - 1;
    const before = widths.slice(0, last).reduce((sum, width) => sum + width + 2, 0);
    const room = this.width === undefined || lastColumn === "whole" ? undefined : Math.max(10, this.width - before);
    const head = headers
      .map((header, column) => (column === last ? header : header.padEnd(widths[column] ?? 0)))
      .join("  ");
    const lines = safe.map((row) =>
      row
        .map((cell, column) => {
          const text =
            column === last
              ? clip(cell.text, room)
              : cell.text + " ".repeat(Math.max(0, (widths[column] ?? 0) - length(cell.text)));
          return cell.color === undefined ? text : this.#codes(cell.color, text);
        })
        .join("  ")
        .trimEnd(),
    );
    return [this.#codes("bold", head.trimEnd()), ...lines].join("\n");
  }

  /** `label  value` lines with aligned values; undefined and null values are left out. */
  fields(rows: readonly (readonly [string, Cell | null | undefined])[]): string {
    const shown = rows.filter(
      (row): row is readonly [string, Cell] => row[1] !== null && row[1] !== undefined && row[1] !== "",
    );
    const width = Math.max(0, ...shown.map(([label]) => label.length));
    return shown
      .map(
        ([label, value]) =>
          `  ${this.#codes("dim", label.padEnd(width))}  ${typeof value === "string" ? oneLine(value) : this.paint(value.color, value.text)}`,
      )
      .join("\n");
  }

  #codes(color: Color, safe: string): string {
    const [on, off] = CODES[color];
    return this.color ? `\u001b[${on}m${safe}\u001b[${off}m` : safe;
  }
}

/** Foreign text on one line: line breaks and tabs become spaces, everything else that could act becomes visible. */
export function oneLine(text: string): string {
  return safeText(text.replace(/[\t\r\n]+/g, " "));
}

/** Local time: `14:03:05` for today, else `2026-01-31 14:03`; `-` for null. */
export function shortTime(at: string | null, now: Date = new Date()): string {
  if (at === null) return "-";
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return oneLine(at).slice(0, 40);
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  if (time.toDateString() === now.toDateString()) return `${clock}:${two(time.getSeconds())}`;
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`;
}

/** `350 ms`, `4.2 s`, `3m 12s`, `5h 2m`, `2d 4h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${seconds % 60}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

/** Bytes with a binary unit, e.g. `12.3 MiB`; `-` for null. */
export function size(bytes: number | null): string {
  return bytes === null ? "-" : sizeText(bytes);
}

/** `1 agent`, `2 agents`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** First digits of a hash or commit, enough to compare by eye. */
export function shortHash(hash: string | null): string {
  return hash === null ? "-" : oneLine(hash).slice(0, 12);
}

/** At most `room` characters, ending with an ellipsis where something was cut. */
export function clip(text: string, room: number | undefined): string {
  if (room === undefined || length(text) <= room) return text;
  return `${[...text].slice(0, Math.max(0, room - 1)).join("")}…`;
}

function length(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
