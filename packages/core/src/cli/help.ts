/** Help and docs/cli.md, all made from the command table. */
import { findCommand } from "./arguments.ts";
import { commandName, COMMANDS, GLOBAL_OPTIONS, NOUNS } from "./commands.ts";
import type { CommandSpec, OptionSpec } from "./context.ts";

const PROGRAM = "opensentience";

const EXIT_CODES: readonly (readonly [number, string])[] = [
  [0, "ok"],
  [1, "failed"],
  [2, "wrong usage"],
  [3, "not found"],
  [4, "refused by policy (not enabled, drifted, denied)"],
  [5, "Core cannot be reached"],
  [6, "conflict (already running, busy)"],
  [130, "interrupted"],
];

/** Help on nothing, a noun, or a command. Throws `usage.invalid` for unknown words. */
export function helpOn(words: readonly string[]): { text: string; json: unknown } {
  const [noun, verb] = words;
  if (noun === undefined) return { text: overview(), json: { commands: COMMANDS.map(commandJson) } };
  const command = findCommand(noun, verb);
  if (command !== undefined) return { text: commandHelp(command), json: commandJson(command) };
  const ofNoun = COMMANDS.filter((each) => each.noun === noun);
  return { text: nounHelp(noun, ofNoun), json: { commands: ofNoun.map(commandJson) } };
}

/** `opensentience agents run ID [--restart POLICY] [-- ARGS…]` */
export function usageOf(command: CommandSpec): string {
  const positionals = command.positionals.map(({ name, required, many }) => {
    const shown = many === true ? `${name}…` : name;
    return required ? shown : `[${shown}]`;
  });
  const options = shownOptions(command.options).map(([name, option]) =>
    option.required === true ? optionForm(name, option) : `[${optionForm(name, option)}]`,
  );
  const rest = command.passthrough === true ? ["[-- ARGS…]"] : [];
  return [PROGRAM, commandName(command), ...positionals, ...options, ...rest].join(" ");
}

/** The whole of docs/cli.md. */
export function renderCliDocs(): string {
  return [
    "# Command line",
    "",
    "Made from the command table in `packages/core/src/cli/commands.ts`; a test compares both.",
    "",
    "A command that needs Core starts it in the background when it is not running. `agents new`, `protocol test`, `completion`, `explain` and `help` need",
    "none, `core status` and `core stop` look for one without starting it, and `serve` is one.",
    "With `--json` stdout holds exactly one JSON document (JSON Lines with `-f`, for `agents logs` and for `audit export`), and an error is one JSON document",
    '`{ "error": { "code", "message", "details", "next_step" } }` on stderr. Keys are a contract: more may be added, none changes its meaning.',
    "Progress, labels and next steps are for people and left out with `--json`.",
    "",
    "## Options of every command",
    "",
    ...optionTable(GLOBAL_OPTIONS),
    "",
    "## Exit codes",
    "",
    "| code | meaning |",
    "|---|---|",
    ...EXIT_CODES.map(([code, meaning]) => `| ${code} | ${meaning} |`),
    ...COMMANDS.flatMap(commandDocs),
    "",
  ].join("\n");
}

function overview(): string {
  const groups = Object.entries(NOUNS).map(([noun, about]) => {
    const rows = COMMANDS.filter((command) => command.noun === noun).map(
      (command) => [commandName(command), summaryOf(command)] as const,
    );
    return rows.length === 1 ? columns(rows) : `${noun}: ${about}\n${columns(rows)}`;
  });
  return [
    `${PROGRAM}: a governed, local-first runtime for agents`,
    "",
    `usage: ${PROGRAM} COMMAND [options]`,
    "",
    groups.join("\n\n"),
    "",
    "options of every command:",
    columns(shownOptions(GLOBAL_OPTIONS).map(([name, option]) => [optionForm(name, option), option.summary])),
    "",
    `\`${PROGRAM} help COMMAND\` shows more.`,
  ].join("\n");
}

function nounHelp(noun: string, commands: readonly CommandSpec[]): string {
  return `${PROGRAM} ${noun}: ${NOUNS[noun] ?? ""}\n\n${columns(commands.map((command) => [commandName(command), summaryOf(command)]))}`;
}

function commandHelp(command: CommandSpec): string {
  const sections = [`${command.summary}.`, `usage: ${usageOf(command)}`];
  const notes = notesOf(command);
  if (notes.length > 0) sections.push(notes.join("\n"));
  if (command.positionals.length > 0)
    sections.push(`arguments:\n${columns(command.positionals.map(({ name, summary }) => [name, summary]))}`);
  const options = shownOptions(command.options);
  if (options.length > 0)
    sections.push(
      `options:\n${columns(options.map(([name, option]) => [optionForm(name, option), optionSummary(option)]))}`,
    );
  sections.push(`examples:\n${command.examples.map((example) => `  ${example}`).join("\n")}`);
  return sections.join("\n\n");
}

function commandDocs(command: CommandSpec): string[] {
  const options = shownOptions(command.options);
  return [
    "",
    `## ${commandName(command)}`,
    "",
    `${command.summary}.`,
    "",
    "```",
    usageOf(command),
    "```",
    ...notesOf(command).flatMap((note) => ["", note]),
    ...(command.positionals.length === 0
      ? []
      : [
          "",
          "| argument | |",
          "|---|---|",
          ...command.positionals.map(({ name, summary }) => `| \`${name.replaceAll("|", "\\|")}\` | ${summary} |`),
        ]),
    ...(options.length === 0 ? [] : ["", ...optionTable(command.options)]),
    "",
    "```sh",
    ...command.examples,
    "```",
  ];
}

function commandJson(command: CommandSpec): unknown {
  return {
    command: commandName(command),
    summary: command.summary,
    usage: usageOf(command),
    executes_third_party_code: command.executesThirdPartyCode === true,
    arguments: command.positionals.map(({ name, summary, required, many }) => ({
      name,
      summary,
      required,
      many: many === true,
    })),
    options: shownOptions(command.options).map(([name, option]) => ({
      name: `--${name}`,
      value: option.value ?? null,
      required: option.required === true,
      summary: option.summary,
    })),
    examples: command.examples,
  };
}

function summaryOf(command: CommandSpec): string {
  return command.executesThirdPartyCode === true ? `${command.summary} (executes third-party code)` : command.summary;
}

function notesOf(command: CommandSpec): readonly string[] {
  const boundary = command.executesThirdPartyCode === true ? ["This executes third-party code on this machine."] : [];
  return [...boundary, ...(command.notes ?? [])];
}

function shownOptions(options: Readonly<Record<string, OptionSpec>>): [string, OptionSpec][] {
  return Object.entries(options).filter(([, option]) => option.hidden === undefined);
}

function optionForm(name: string, option: OptionSpec): string {
  const long = option.type === "string" ? `--${name} ${option.value ?? "VALUE"}` : `--${name}`;
  return option.short === undefined ? long : `-${option.short}|${long}`;
}

function optionSummary(option: OptionSpec): string {
  const summary = option.required === true ? `${option.summary} (required)` : option.summary;
  return option.choices === undefined ? summary : `${summary} (${option.choices.join(", ")})`;
}

function optionTable(options: Readonly<Record<string, OptionSpec>>): string[] {
  return [
    "| option | |",
    "|---|---|",
    ...shownOptions(options).map(
      ([name, option]) => `| \`${optionForm(name, option).replaceAll("|", "\\|")}\` | ${optionSummary(option)} |`,
    ),
  ];
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
