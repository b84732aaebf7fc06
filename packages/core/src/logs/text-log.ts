/** A log of Core's own lines (its log file, the log of an install) in the same format as captured output. */
import type { Redactor } from "../audit-log/audit-log.ts";
import { LogFile } from "./log-file.ts";
import { stampOf } from "./log-record.ts";

export type TextLogOptions = {
  path: string;
  limits: { maxLineBytes: number; maxFileBytes: number; maxFiles: number };
  redactor: Redactor;
};

export class TextLog {
  readonly #file: LogFile;
  readonly #options: TextLogOptions;

  constructor(options: TextLogOptions) {
    this.#options = options;
    this.#file = new LogFile({
      path: options.path,
      maxFileBytes: options.limits.maxFileBytes,
      maxFiles: options.limits.maxFiles,
      note: (text) => this.#record(text),
      onDegraded: () => {},
      onDrain: () => {},
    });
  }

  /** One line; redacted, control characters of line ends flattened, cut at the line cap. Never throws. */
  line(text: string): void {
    this.#file.append(this.#record(text));
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #record(text: string): string {
    const oneLine = this.#options.redactor.text(text).replaceAll(/[\r\n]+/g, " ⏎ ");
    return `${stampOf(new Date())} core F ${oneLine.slice(0, this.#options.limits.maxLineBytes)}\n`;
  }
}

/** The time now as part of a file name; such names sort by time. */
export function fileStamp(): string {
  return new Date().toISOString().replaceAll(/[:.]/g, "-");
}

/** A whole log at once. */
export async function writeLog(
  path: string,
  lines: readonly string[],
  options: Omit<TextLogOptions, "path">,
): Promise<void> {
  const log = new TextLog({ path, ...options });
  for (const line of lines) log.line(line);
  await log.close();
}
