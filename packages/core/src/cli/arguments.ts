/**
 * argv against the command table. Pure: reads nothing, prints nothing.
 *
 * Global options may stand anywhere before `--`; the options of a command only after its words. Everything after `--`
 * belongs to the agent. Failures are `usage.invalid`, name the word that was meant if one is near, and end with the help to read.
 */
import { parseArgs } from "node:util";
import { CoreError } from "@opensentience/protocol";
import { nearest } from "../host/config.ts";
import { commandName, COMMANDS, GLOBAL_OPTIONS } from "./commands.ts";
import type { CommandSpec, OptionSpec, ParsedOptions } from "./context.ts";
import { commandMeant, optionMeant, verbMeant } from "./near-miss.ts";

export type ParsedLine =
  | { kind: "version" }
  /** `words` as typed: none, a noun, or a whole command. */
  | { kind: "help"; words: readonly string[] }
  | { kind: "command"; command: CommandSpec; positionals: string[]; passthrough: string[]; options: ParsedOptions };

/** Throws `usage.invalid`. */
export function parseLine(argv: readonly string[]): ParsedLine {
  const { words, rest } = splitWords(argv);
  const asked = askedFor(argv);
  refuseOptionsBefore(argv);
  if (asked.version && words.length === 0) return { kind: "version" };
  const [noun, verb] = words;
  if (noun === undefined) {
    if (!asked.help) parseOptions(undefined, rest);
    return { kind: "help", words: [] };
  }
  const command = findCommand(noun, verb);
  if (asked.help) return { kind: "help", words: command === undefined ? [noun] : words };
  if (command === undefined) throw incompleteNoun(noun);
  return { kind: "command", command, ...parseOptions(command, rest) };
}

/** Whether `--json` stands before `--`; asked before parsing so that usage errors too have the right form. */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return (end === -1 ? argv : argv.slice(0, end)).includes("--json");
}

/** The command with exactly these words, undefined for a noun that still needs a verb; throws for unknown words. */
export function findCommand(noun: string, verb: string | undefined): CommandSpec | undefined {
  const ofNoun = COMMANDS.filter((command) => command.noun === noun);
  if (ofNoun.length === 0)
    throw usage(`unknown command "${clip(noun)}"${meant(commandMeant(noun, verb))}`, "opensentience help");
  const [first] = ofNoun;
  if (first !== undefined && first.verb === undefined) return first;
  if (verb === undefined) return undefined;
  const found = ofNoun.find((command) => command.verb === verb);
  if (found !== undefined) return found;
  const near = verbMeant(noun, verb);
  throw usage(
    `unknown command "${noun} ${clip(verb)}"${meant(near === undefined ? undefined : `${noun} ${near}`)}`,
    `opensentience help ${noun}`,
  );
}

function meant(words: string | undefined): string {
  return words === undefined ? "" : `; did you mean "${words}"?`;
}

function incompleteNoun(noun: string): CoreError {
  const verbs = COMMANDS.filter((command) => command.noun === noun).map((command) => command.verb ?? "");
  return usage(`"${noun}" needs one of: ${verbs.join(", ")}`, `opensentience help ${noun}`);
}

/** An option that no command has, in front of the words: its value would be taken for the command. */
function refuseOptionsBefore(argv: readonly string[]): void {
  const index = argv.findIndex((token) => COMMANDS.some((command) => command.noun === token));
  for (const rawName of argv.slice(0, Math.max(index, 0))) {
    const name = /^--(\w[\w-]*)/.exec(rawName)?.[1];
    if (
      name === undefined ||
      [GLOBAL_OPTIONS, ...COMMANDS.map(({ options }) => options)].some((known) => name in known)
    )
      continue;
    const token = { name, rawName: `--${name}`, value: undefined, inlineValue: undefined };
    throw usage(
      `unknown option "--${clip(name)}"${optionHint(undefined, GLOBAL_OPTIONS, token)}`,
      "opensentience help",
    );
  }
}

/** Takes the one or two words that name the command out of argv; options between and around them stay. */
function splitWords(argv: readonly string[]): { words: string[]; rest: string[] } {
  const words: string[] = [];
  const rest: string[] = [];
  let wanted = 2;
  let index = 0;
  for (; index < argv.length && words.length < wanted; index++) {
    const token = argv[index] ?? "";
    if (token === "--") break;
    if (!token.startsWith("-") || token === "-") {
      words.push(token);
      if (words.length === 1 && COMMANDS.some((command) => command.noun === token && command.verb === undefined))
        wanted = 1;
      continue;
    }
    rest.push(token);
    const takesValue = GLOBAL_OPTIONS[token.slice(2)]?.type === "string";
    if (takesValue && index + 1 < argv.length) rest.push(argv[++index] ?? "");
  }
  return { words, rest: [...rest, ...argv.slice(index)] };
}

function askedFor(argv: readonly string[]): { help: boolean; version: boolean } {
  const end = argv.indexOf("--");
  const own = end === -1 ? argv : argv.slice(0, end);
  return { help: own.includes("--help") || own.includes("-h"), version: own.includes("--version") };
}

function parseOptions(
  command: CommandSpec | undefined,
  args: string[],
): { positionals: string[]; passthrough: string[]; options: ParsedOptions } {
  const known: Record<string, OptionSpec> = { ...GLOBAL_OPTIONS, ...command?.options };
  const config = Object.fromEntries(
    Object.entries(known).map(([name, option]) => [
      name,
      {
        type: option.type,
        ...(option.short === undefined ? {} : { short: option.short }),
        ...(option.multiple === undefined ? {} : { multiple: true }),
      },
    ]),
  );
  const { tokens } = parseArgs({ args, options: config, strict: false, allowPositionals: true, tokens: true });
  const options: Record<string, string | boolean | string[]> = {};
  const positionals: string[] = [];
  const passthrough: string[] = [];
  let ended = false;
  for (const token of tokens) {
    if (token.kind === "option-terminator") ended = true;
    else if (token.kind === "positional")
      (ended && command?.passthrough === true ? passthrough : positionals).push(token.value);
    else addOption(command, known, token, options);
  }
  if (command !== undefined) {
    checkPositionals(command, positionals);
    checkRequired(command, options);
  }
  return { positionals, passthrough, options };
}

type OptionToken = { name: string; rawName: string; value: string | undefined; inlineValue: boolean | undefined };

function addOption(
  command: CommandSpec | undefined,
  known: Record<string, OptionSpec>,
  token: OptionToken,
  into: Record<string, string | boolean | string[]>,
): void {
  const help = command === undefined ? "opensentience help" : `opensentience help ${commandName(command)}`;
  const option = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
  if (option === undefined) {
    throw usage(`unknown option "${clip(token.rawName)}"${optionHint(command, known, token)}`, help);
  }
  if (option.type === "boolean") {
    if (token.value !== undefined) throw usage(`--${token.name} takes no value`, help);
    into[token.name] = true;
    return;
  }
  const isAnotherOption = token.inlineValue !== true && /^-[^\d]/.test(token.value ?? "");
  if (token.value === undefined || isAnotherOption)
    throw usage(`--${token.name} needs a value: --${token.name} ${option.value ?? "VALUE"}`, help);
  if (option.choices !== undefined && !option.choices.includes(token.value)) {
    throw usage(
      `--${token.name} must be one of ${option.choices.join(", ")}${meant(nearest(token.value, option.choices))}`,
      help,
    );
  }
  const before = into[token.name];
  if (option.multiple === true) {
    if (Array.isArray(before)) before.push(token.value);
    else into[token.name] = [token.value];
  } else if (before !== undefined) throw usage(`--${token.name} is given twice`, help);
  else into[token.name] = token.value;
}

function optionHint(command: CommandSpec | undefined, known: Record<string, OptionSpec>, token: OptionToken): string {
  if (command === undefined && /^-v$/i.test(token.rawName)) return meant("--version");
  const shown = Object.entries(known).filter(([, each]) => each.hidden === undefined);
  const near = optionMeant(
    token.name,
    shown.map(([name]) => name),
  );
  const hint = command?.passthrough === true ? "; arguments for the agent come after --" : "";
  return `${meant(near === undefined ? undefined : `--${near}`)}${hint}`;
}

function checkPositionals(command: CommandSpec, positionals: readonly string[]): void {
  const help = `opensentience help ${commandName(command)}`;
  const missing = command.positionals[positionals.length];
  if (missing?.required === true) throw usage(`${missing.name} is missing: ${missing.summary}`, help);
  const takesMany = command.positionals.at(-1)?.many === true;
  const extra = positionals[command.positionals.length];
  if (extra !== undefined && !takesMany) {
    const hint = command.passthrough === true ? "; arguments for the agent come after --" : "";
    throw usage(`unexpected argument "${clip(extra)}"${hint}`, help);
  }
}

function checkRequired(command: CommandSpec, options: ParsedOptions): void {
  for (const [name, option] of Object.entries(command.options))
    if (option.required === true && options[name] === undefined)
      throw usage(
        `--${name} ${option.value ?? "VALUE"} is missing: ${option.summary}`,
        `opensentience help ${commandName(command)}`,
      );
}

function usage(message: string, nextStep: string): CoreError {
  return new CoreError("usage.invalid", message, { nextStep });
}

function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
