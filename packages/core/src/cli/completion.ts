/**
 * Completion scripts, made from the command table: nouns, verbs and flags. They hold words only and run nothing of
 * Core, so pressing Tab can never start it.
 */
import { COMMANDS, GLOBAL_OPTIONS, NOUNS } from "./commands.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
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

function bash(): string {
  const verbs = Object.keys(NOUNS)
    .filter((noun) => verbsOf(noun).length > 0)
    .map((noun) => `    ${noun}) verbs="${verbsOf(noun).join(" ")}" ;;`);
  const flags = COMMANDS.map(
    (command) =>
      `    "${[command.noun, command.verb].filter((word) => word !== undefined).join(" ")}") flags="${flagsOf(command.options).join(" ")}" ;;`,
  );
  return `_opensentience() {
  local word="\${COMP_WORDS[COMP_CWORD]}" verbs="" flags=""
  case "\${COMP_WORDS[1]}" in
${verbs.join("\n")}
  esac
  local command="\${COMP_WORDS[1]}"
  [ -n "$verbs" ] && command="$command \${COMP_WORDS[2]}"
  case "$command" in
${flags.join("\n")}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${Object.keys(NOUNS).join(" ")}" -- "$word"))
  elif [ "$COMP_CWORD" -eq 2 ] && [ -n "$verbs" ]; then
    COMPREPLY=($(compgen -W "$verbs" -- "$word"))
  elif [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags ${flagsOf(GLOBAL_OPTIONS).join(" ")}" -- "$word"))
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
  for (const command of COMMANDS) {
    const seen = [command.noun, command.verb]
      .filter((word) => word !== undefined)
      .map((word) => `__fish_seen_subcommand_from ${word}`);
    for (const flag of flagsOf(command.options))
      lines.push(`complete -c opensentience -n "${seen.join("; and ")}" -l ${flag.slice(2)}`);
  }
  for (const flag of flagsOf(GLOBAL_OPTIONS)) lines.push(`complete -c opensentience -l ${flag.slice(2)}`);
  return `${lines.join("\n")}\n`;
}
