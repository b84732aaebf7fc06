/**
 * The only place of the command line that writes: results to stdout, everything else to stderr.
 *
 * With `--json` stdout holds exactly one JSON document (or JSON Lines), stderr at most one error document, and notes,
 * labels and progress are left out; control, direction and invisible characters in it are `\uXXXX`. Without it results are text for people; colour only on a terminal and never
 * with NO_COLOR. A reader that leaves early (`| head`) ends the command quietly.
 */
import { type CoreError, ERROR_KINDS, errorToJson, safeJson } from "@opensentience/protocol";
import { clip, oneLine, Style } from "./format.ts";

type Sink = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

/** Live progress of one long act; a terminal sees it on stderr, everybody else nothing. */
export type Progress = { show: (phase: string, text: string) => void; end: () => void };

/** Read on first use only: Node makes its streams then, and most commands write to one of the two. */
type Sinks = { readonly stdout: Sink; readonly stderr: Sink };

export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly #sinks: Sinks;
  readonly #noColor: boolean;

  constructor(sinks: Sinks, options: { json: boolean; quiet: boolean; noColor: boolean }) {
    this.#sinks = sinks;
    this.json = options.json;
    this.quiet = options.quiet;
    this.#noColor = options.noColor;
  }

  get #stdout(): Sink {
    return this.#sinks.stdout;
  }

  get #stderr(): Sink {
    return this.#sinks.stderr;
  }

  get style(): Style {
    return styleOf(this.#stdout, this.#noColor);
  }

  get progressIsShown(): boolean {
    return !this.json && !this.quiet && this.#stderr.isTTY === true;
  }

  /** The one result of a command: the document with `--json`, else its text for people. */
  result(value: unknown, render: (style: Style) => string): void {
    if (this.json) this.#stdout.write(`${safeJson(value, 2)}\n`);
    else this.line(render(this.style));
  }

  /** One record of a stream: a JSON line, or its text for people. */
  record(value: unknown, render: (style: Style) => string): void {
    if (this.json) this.jsonLine(value);
    else this.#stdout.write(`${render(this.style)}\n`);
  }

  jsonLine(value: unknown): void {
    this.#stdout.write(`${safeJson(value)}\n`);
  }

  /** Finished text; foreign parts of it must be safe already. Empty text prints nothing. */
  line(text: string): void {
    if (text !== "") this.#stdout.write(`${text}\n`);
  }

  /** Side information on stderr; left out with `--json` and `--quiet`. */
  note(text: string): void {
    if (!this.json && !this.quiet) this.#stderr.write(`${text}\n`);
  }

  /** Why the result is no success, on stderr also with `--quiet`; made safe here. */
  problem(text: string): void {
    this.#stderr.write(`${this.askStyle.paint("red", "error:")} ${oneLine(text)}\n`);
  }

  /** What Ctrl-C left behind; on a terminal it replaces the `^C`. */
  interrupted(outcome: string): void {
    this.note(`${this.progressIsShown ? "\r\u001b[K" : ""}${outcome}`);
  }

  /** The command that moves the user on, if there is one. */
  nextStep(nextStep: string | null | undefined): void {
    if (nextStep && !this.json) this.note(`${this.askStyle.paint("dim", "next:")} ${oneLine(nextStep)}`);
  }

  /** What is shown while somebody is asked; a terminal is there, so neither flag can be meant against it. */
  ask(text: string): void {
    this.#stderr.write(text);
  }

  /** Prompts and what is shown before them are written with this style. */
  get askStyle(): Style {
    return styleOf(this.#stderr, this.#noColor);
  }

  error(error: CoreError): void {
    if (this.json) {
      this.#stderr.write(`${safeJson(errorToJson(error))}\n`);
      return;
    }
    this.#stderr.write(`${this.askStyle.paint("red", "error:")} ${oneLine(error.message)} (${error.code})\n`);
    if (error.nextStep !== undefined)
      this.#stderr.write(`${this.askStyle.paint("dim", "next:")} ${oneLine(error.nextStep)}\n`);
  }

  /** Lines of `phase: "output"` stay on the screen; every other text replaces the one before it. */
  progress(): Progress {
    if (!this.progressIsShown) return { show: () => {}, end: () => {} };
    let open = false;
    const wipe = (): void => {
      if (open) this.#stderr.write("\r\u001b[K");
      open = false;
    };
    const show = (phase: string, text: string): void => {
      wipe();
      if (phase === "output") {
        this.#stderr.write(`  ${oneLine(text)}\n`);
        return;
      }
      this.#stderr.write(clip(oneLine(`${phase}: ${text}`), (this.#stderr.columns || 80) - 1));
      open = true;
    };
    return { show, end: wipe };
  }
}

/** Output of this process. A closed stdout ends the process at once and quietly: nobody is left to read. */
export function processOutput(options: { json: boolean; quiet: boolean; noColor: boolean }): Output {
  const watched = new Set<Sink>();
  const watch = (stream: Sink): Sink => {
    if (watched.has(stream)) return stream;
    watched.add(stream);
    return stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  };
  const sinks = {
    get stdout(): Sink {
      return watch(process.stdout);
    },
    get stderr(): Sink {
      return watch(process.stderr);
    },
  };
  return new Output(sinks, options);
}

/**
 * 0 ok, 1 failed, 2 usage, 3 not found, 4 refused by policy, 5 Core not reachable, 6 conflict, 130 interrupted.
 * The kind of the error decides; only a Core that cannot be reached has a code of its own.
 */
export function exitCodeOf(error: CoreError): number {
  if (error.code === "core.unreachable" || error.code === "core.start_failed") return 5;
  return ERROR_KINDS[error.kind].exit;
}

function styleOf(stream: Sink, noColor: boolean): Style {
  const terminal = stream.isTTY === true;
  return new Style({ color: terminal && !noColor, width: terminal ? stream.columns || undefined : undefined });
}
