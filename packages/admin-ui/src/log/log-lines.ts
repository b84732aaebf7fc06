/** The lines of a log as the page keeps them. Pure. */
import type { LogRecordJson } from "@opensentience/protocol";

export type LogLine = LogRecordJson & { key: number };

/** Older lines leave the page, not the file. */
export const MAX_LINES = 20_000;

let lastKey = 0;

export function toLine(record: LogRecordJson): LogLine {
  return { ...record, key: (lastKey += 1) };
}

/** The lines with these after them, at most MAX_LINES. */
export function withLines(lines: readonly LogLine[], more: readonly LogLine[]): readonly LogLine[] {
  if (more.length === 0) return lines;
  const all = [...lines, ...more];
  // Cut in larger pieces: a cut moves every line on the screen.
  return all.length > MAX_LINES ? all.slice(-Math.floor(MAX_LINES * 0.9)) : all;
}

/**
 * What arrived live while the history was read, without what the history holds already. Records carry no number, so
 * the longest end of the history that is a beginning of the live part is taken as the same lines.
 */
export function afterHistory(
  history: readonly LogRecordJson[],
  live: readonly LogRecordJson[],
): readonly LogRecordJson[] {
  const most = Math.min(history.length, live.length);
  for (let count = most; count > 0; count -= 1) {
    const from = history.length - count;
    if (live.slice(0, count).every((record, index) => isSame(record, history[from + index]))) return live.slice(count);
  }
  return live;
}

function isSame(a: LogRecordJson, b: LogRecordJson | undefined): boolean {
  return b !== undefined && a.at === b.at && a.stream === b.stream && a.line === b.line;
}

export type LogFilter = { stream: "" | LogRecordJson["stream"]; words: string };

export function filterLines(lines: readonly LogLine[], { stream, words }: LogFilter): readonly LogLine[] {
  if (stream === "" && words === "") return lines;
  const wanted = words.toLowerCase();
  return lines.filter(
    (line) => (stream === "" || line.stream === stream) && (wanted === "" || line.line.toLowerCase().includes(wanted)),
  );
}
