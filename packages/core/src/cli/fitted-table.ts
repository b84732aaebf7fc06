/**
 * Tables whose rows fit the terminal. Where they do not, the columns give way in this order: those marked `drop` go,
 * ids are shortened in their middle (both ends tell them apart) and texts at their end, then those marked `spare` go,
 * then texts give way below the width that they can be read at. In a pipe nothing gives way.
 */
import { type Cell, clip, oneLine, type Style } from "./format.ts";

export type Column = {
  name: string;
  gives?: "drop" | "spare" | "middle" | "end";
  /** It is shortened to less than this only where no spare column is left; 10 where it says nothing. */
  readable?: number;
  /** Width where the rows are not known beforehand, as when they are followed. */
  width?: number;
};

type Planned = { index: number; column: Column; width: number };

const GAP = 2;
const LEAST = 10;

export function fittedTable(style: Style, columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  const widths = columns.map(({ name }, index) =>
    Math.max(name.length, ...rows.map((row) => length(oneLine(textOf(row[index]))))),
  );
  const plan = planOf(style, columns, widths);
  return [header(style, plan), ...rows.map((row) => line(style, plan, row))].join("\n");
}

/** The same table row by row, with the widths that the columns name. */
export function followedTable(
  style: Style,
  columns: readonly Column[],
): { header: string; row: (cells: readonly Cell[]) => string } {
  const plan = planOf(
    style,
    columns,
    columns.map(({ name, width }) => Math.max(name.length, width ?? 0)),
  );
  return { header: header(style, plan), row: (cells) => line(style, plan, cells) };
}

/** At most `room` characters, both ends kept. */
export function clipMiddle(text: string, room: number): string {
  const all = [...text];
  if (all.length <= room) return text;
  const head = Math.ceil((room - 1) / 2);
  const tail = room - 1 - head;
  return `${all.slice(0, head).join("")}…${tail <= 0 ? "" : all.slice(-tail).join("")}`;
}

function planOf(style: Style, columns: readonly Column[], widths: readonly number[]): Planned[] {
  let plan = columns.map((column, index) => ({ index, column, width: widths[index] ?? 0 }));
  const limit = style.width;
  if (limit === undefined) return plan;
  const over = (): number => plan.reduce((sum, { width }) => sum + width + GAP, -GAP) - limit;
  if (over() > 0) plan = plan.filter(({ column }) => column.gives !== "drop");
  while (over() > 0) {
    const spare = plan.findLast(({ column }) => column.gives === "spare");
    const widest = plan
      .filter((each) => mayShrink(each, spare === undefined ? LEAST : each.column.readable))
      .toSorted((a, b) => b.width - a.width)[0];
    if (widest !== undefined) widest.width--;
    else if (spare !== undefined) plan = plan.filter((each) => each !== spare);
    else return plan;
  }
  return plan;
}

function mayShrink({ column, width }: Planned, least = LEAST): boolean {
  return (column.gives === "middle" || column.gives === "end") && width > Math.max(least, column.name.length);
}

function header(style: Style, plan: readonly Planned[]): string {
  const names = plan.map(({ column, width }) => column.name.padEnd(width));
  return style.paint("bold", names.join(" ".repeat(GAP)).trimEnd());
}

function line(style: Style, plan: readonly Planned[], cells: readonly Cell[]): string {
  return plan
    .map(({ index, column, width }, position) => {
      const cell = cells[index];
      const text = oneLine(textOf(cell));
      const cut = style.width === undefined ? text : shortened(text, column, width);
      const padding = position === plan.length - 1 ? "" : " ".repeat(Math.max(0, width - length(cut)));
      return cell === undefined || typeof cell === "string" ? cut + padding : style.paint(cell.color, cut) + padding;
    })
    .join(" ".repeat(GAP))
    .trimEnd();
}

function shortened(text: string, column: Column, width: number): string {
  if (column.gives === "middle") return clipMiddle(text, width);
  return column.gives === "end" ? clip(text, width) : text;
}

function textOf(cell: Cell | undefined): string {
  return cell === undefined ? "" : typeof cell === "string" ? cell : cell.text;
}

function length(text: string): number {
  return [...text].length;
}
