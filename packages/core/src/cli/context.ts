/** What a command declares about itself in the table, and what it gets when it runs. Types only, and the reader of option values. */
import { CoreError } from "@opensentience/protocol";
import type { SettingKey } from "../host/config.ts";
import type { Paths } from "../host/paths.ts";
import type { ControlClient } from "./control-client.ts";
import type { Output } from "./output.ts";
import type { Prompt } from "./prompt.ts";

export type OptionSpec = {
  type: "string" | "boolean";
  summary: string;
  /** Placeholder of the value in help, e.g. `DIR`; only for `type: "string"`. */
  value?: string;
  short?: string;
  multiple?: true;
  choices?: readonly string[];
  /** The command does nothing without it. */
  required?: true;
  /** Used between Core's own processes; not shown in help and docs. */
  hidden?: true;
};

export type PositionalSpec = {
  name: string;
  summary: string;
  required: boolean;
  many?: true;
  choices?: readonly string[];
};

/** One row of the command table; everything that help, parsing and docs/cli.md say comes from it. */
export type CommandSpec = {
  noun: string;
  verb?: string;
  summary: string;
  positionals: readonly PositionalSpec[];
  options: Readonly<Record<string, OptionSpec>>;
  examples: readonly string[];
  /** Sentences shown below the usage line. */
  notes?: readonly string[];
  /** What follows `--` goes to the agent. */
  passthrough?: true;
  /** The act lets code of a third party run on this machine; help and the command itself say so. */
  executesThirdPartyCode?: true;
  load: () => Promise<CommandModule>;
};

/** `run` returns the exit code; nothing means 0. Failures are thrown as CoreError. */
export type CommandModule = { run: (context: CommandContext) => Promise<number | void> };

/** Core's foreground entry, handed in by bin.ts so that no command imports the daemon. */
export type Serve = (options: {
  paths: Paths;
  flags: Partial<Record<SettingKey, string>>;
  background: boolean;
  onReady: (info: { socketPath: string; webUrl: string | null; signInUrl: string | null }) => void;
}) => Promise<number>;

export type CommandContext = {
  command: CommandSpec;
  positionals: readonly string[];
  /** Arguments after `--`. */
  passthrough: readonly string[];
  options: OptionValues;
  output: Output;
  paths: Paths;
  /** The file that was started; a background Core is started from the same one. */
  binary: string;
  /** Client of the control socket; starts Core on the first request unless `--no-start` or `start: false`. */
  connect: (options?: { start?: boolean }) => Promise<ControlClient>;
  /** Aborted by Ctrl-C, once the command has connected. */
  signal: AbortSignal;
  /** Undefined where nobody can be asked: no terminal, or `--json`. */
  prompt: () => Promise<Prompt | undefined>;
  loadServe: () => Promise<Serve>;
};

export type ParsedOptions = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** Values of the options of one command line; names are those of the table. */
export class OptionValues {
  readonly #values: ParsedOptions;
  readonly #help: string;

  /** `help` is the next step of a value that cannot be meant. */
  constructor(values: ParsedOptions, help = "opensentience help") {
    this.#values = values;
    this.#help = help;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value : [];
  }

  /** A whole number from `least` to `most`; `usage.invalid` otherwise. */
  count(name: string, least: number, most: number): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (!/^\d{1,9}$/.test(value) || Number(value) < least || Number(value) > most)
      throw new CoreError("usage.invalid", `--${name} must be a whole number from ${least} to ${most}`, {
        nextStep: this.#help,
      });
    return Number(value);
  }

  /** A duration back from `nowMs` (`90s`, `10m`, `2h`, `3d`) or a date and time, as RFC 3339; `usage.invalid` otherwise. */
  time(name: string, nowMs: number = Date.now()): string | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const duration = /^(\d{1,6})(s|m|h|d)$/.exec(value);
    const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[duration?.[2] ?? ""];
    const at = duration === null || unitMs === undefined ? Date.parse(value) : nowMs - Number(duration[1]) * unitMs;
    if (Number.isNaN(at)) {
      throw new CoreError(
        "usage.invalid",
        `--${name} must be a duration such as 10m, or a time such as 2026-01-31T12:00:00Z`,
        { nextStep: this.#help },
      );
    }
    return new Date(at).toISOString();
  }
}

/** The positional that the table marks as required; parsing has made sure that it is there. */
export function required(context: CommandContext, index: number): string {
  const value = context.positionals[index];
  if (value === undefined) throw new CoreError("usage.invalid", "an argument is missing");
  return value;
}
