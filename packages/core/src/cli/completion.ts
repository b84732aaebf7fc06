/**
 * Completion scripts, made from the command table: nouns, verbs, flags and the values that a flag may have. The ids of
 * agents are asked for with `--no-start`, so pressing Tab can never start Core: where it does not run, no id is offered.
 */
import { commandName, COMMANDS, GLOBAL_OPTIONS, NOUNS } from "./commands.ts";
import type { CommandSpec, OptionSpec } from "./context.ts";
import type { SHELLS } from "./options.ts";

/**
 * SECURITY: a shell expands the words it completes with, so only the characters of an id pass; pinned by
 * "completion offers the ids of agents, without starting Core".
 */
const AGENT_IDS = `opensentience agents list --json --no-start 2>/dev/null | sed -n 's/^ *"agent_id": "\\([A-Za-z0-9._-]*\\)".*/\\1/p'`;

export type Shell = (typeof SHELLS)[number];

export function completionScript(shell: Shell): string {
  switch (shell) {
    case "bash":
      return bash();
    case "zsh":
      // zsh reads bash completions; one script keeps the two alike.
      return `#compdef opensentience\nautoload -U +X bashcompinit && bashcompinit\n${bash()}`;
    case "fish":
      return fish();
  }
}

function verbsOf(noun: string): string[] {
  return COMMANDS.flatMap((command) => (command.noun === noun && command.verb !== undefined ? [command.verb] : []));
}

function flagsOf(options: Record<string, { hidden?: boolean }>): string[] {
  return Object.entries(options).flatMap(([name, option]) => (option.hidden === true ? [] : [`--${name}`]));
}

/** Values of the options and of the first argument, by the command (and option) they belong to. */
function choicesOf(command: CommandSpec): { key: string; words: readonly string[] }[] {
  const name = commandName(command);
  const options = shownOptions(command.options).flatMap(([option, { choices }]) =>
    choices === undefined ? [] : [{ key: `${name} --${option}`, words: choices }],
  );
  const [first] = command.positionals;
  return first?.choices === undefined ? options : [...options, { key: name, words: first.choices }];
}

function takesAgent(command: CommandSpec): boolean {
  return command.noun === "agents" && (command.positionals[0]?.name ?? "").split("|").includes("ID");
}

function shownOptions(options: Readonly<Record<string, OptionSpec>>): [string, OptionSpec][] {
  return Object.entries(options).filter(([, option]) => option.hidden !== true);
}

function bash(): string {
  const verbs = Object.keys(NOUNS)
    .filter((noun) => verbsOf(noun).length > 0)
    .map((noun) => `    ${noun}) verbs="${verbsOf(noun).join(" ")}" ;;`);
  const flags = COMMANDS.map(
    (command) => `    "${commandName(command)}") flags="${flagsOf(command.options).join(" ")}" ;;`,
  );
  const choices = COMMANDS.flatMap(choicesOf);
  const ofOptions = choices.filter(({ key }) => key.includes(" --"));
  const ofArguments = choices.filter(({ key }) => !key.includes(" --"));
  const line = ({ key, words }: { key: string; words: readonly string[] }): string =>
    `    "${key}") choices="${words.join(" ")}" ;;`;
  const agents = COMMANDS.filter(takesAgent).map((command) => `"${commandName(command)}"`);
  return `_opensentience() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" verbs="" flags="" choices="" first=1
  case "\${COMP_WORDS[1]}" in
${verbs.join("\n")}
  esac
  local command="\${COMP_WORDS[1]}"
  [ -n "$verbs" ] && command="$command \${COMP_WORDS[2]}" && first=2
  case "$command" in
${flags.join("\n")}
  esac
  case "$command $before" in
${ofOptions.map(line).join("\n")}
  esac
  if [ -n "$choices" ]; then
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
    return
  fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${Object.keys(NOUNS).join(" ")}" -- "$word"))
    return
  elif [ "$COMP_CWORD" -eq 2 ] && [ -n "$verbs" ]; then
    COMPREPLY=($(compgen -W "$verbs" -- "$word"))
    return
  elif [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags ${flagsOf(GLOBAL_OPTIONS).join(" ")}" -- "$word"))
    return
  fi
  if [ "$COMP_CWORD" -eq $((first + 1)) ]; then
    case "$command" in
${ofArguments.map(line).join("\n")}
    ${agents.join("|")}) choices="$(${AGENT_IDS})" ;;
    esac
  fi
  if [ -n "$choices" ]; then
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -F _opensentience opensentience
`;
}

function fish(): string {
  const lines = [`complete -c opensentience -n __fish_use_subcommand -f -a "${Object.keys(NOUNS).join(" ")}"`];
  for (const noun of Object.keys(NOUNS)) {
    const verbs = verbsOf(noun);
    if (verbs.length > 0)
      lines.push(
        `complete -c opensentience -n "__fish_seen_subcommand_from ${noun}; and not __fish_seen_subcommand_from ${verbs.join(" ")}" -f -a "${verbs.join(" ")}"`,
      );
  }
  for (const command of COMMANDS) lines.push(...fishOf(command));
  for (const flag of flagsOf(GLOBAL_OPTIONS)) lines.push(`complete -c opensentience -l ${flag.slice(2)}`);
  return `${lines.join("\n")}\n`;
}

function fishOf(command: CommandSpec): string[] {
  const words = commandName(command).split(" ");
  const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
  const complete = `complete -c opensentience -n "${seen}"`;
  const options = shownOptions(command.options).map(([name, { choices, type }]) => {
    const value = choices === undefined ? "" : ` -x -a "${choices.join(" ")}"`;
    return `${complete} -l ${name}${value === "" && type === "string" ? " -r" : value}`;
  });
  const choices = command.positionals[0]?.choices;
  return [
    ...options,
    ...(choices === undefined ? [] : [`${complete} -f -a "${choices.join(" ")}"`]),
    ...(takesAgent(command)
      ? [`${complete} -a "(${AGENT_IDS.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("$", "\\$")})"`]
      : []),
  ];
}
