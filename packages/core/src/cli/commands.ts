/**
 * The one literal table of commands (its two large parts stand in agents-commands.ts and audit-commands.ts). Parsing,
 * help, near-miss suggestions, completion and docs/cli.md all come from it; a command that is not here does not exist.
 * Each row loads its own file only when it is run, which keeps start-up short.
 */
import { AGENTS_COMMANDS } from "./agents-commands.ts";
import { TOOLS_COMMANDS } from "./tools-commands.ts";
import { AUDIT_COMMANDS } from "./audit-commands.ts";
import type { CommandSpec, OptionSpec } from "./context.ts";
import { PROTOCOL_TEST } from "./protocol-command.ts";

import { SHELLS } from "./options.ts";

export { GLOBAL_OPTIONS } from "./options.ts";

const SET: OptionSpec = {
  type: "string",
  value: "KEY=VALUE",
  multiple: true,
  summary: "override a setting of config.toml (repeatable)",
};

/** What each noun is about, in the order of the help. */
export const NOUNS: Record<string, string> = {
  serve: "Core in the foreground",
  core: "Core in the background",
  open: "the web page in your browser",
  agents: "find, install, build, approve and run agents",
  tools: "what running agents offer",
  protocol: "check that an agent speaks as Core does",
  audit: "the record of what was done",
  doctor: "what is right and wrong on this machine",
  completion: "completion for your shell",
  explain: "error codes",
  help: "help",
};

export const COMMANDS: readonly CommandSpec[] = [
  {
    noun: "serve",
    summary: "Run Core in the foreground",
    positionals: [],
    options: { set: SET, background: { type: "boolean", hidden: true, summary: "started by another command" } },
    examples: ["opensentience serve", "opensentience serve --set launcher.stop_grace_ms=2000"],
    load: () => import("./commands/serve.ts"),
  },
  {
    noun: "core",
    verb: "start",
    summary: "Start Core in the background",
    positionals: [],
    options: { set: SET },
    examples: ["opensentience core start"],
    load: () => import("./commands/core-start.ts"),
  },
  {
    noun: "core",
    verb: "stop",
    summary: "Stop every agent, then Core, and wait until it is gone",
    positionals: [],
    options: {},
    examples: ["opensentience core stop"],
    load: () => import("./commands/core-stop.ts"),
  },
  {
    noun: "core",
    verb: "status",
    summary: "Show whether Core runs, where, and where each setting came from",
    positionals: [],
    options: {},
    notes: [
      "Never starts Core. Ends with exit code 5 when Core does not answer: it is not running, or it starts or stops just now.",
    ],
    examples: ["opensentience core status", "opensentience core status --json"],
    load: () => import("./commands/core-status.ts"),
  },
  {
    noun: "core",
    verb: "restart",
    summary: "Stop Core and start it again",
    positionals: [],
    options: { set: SET },
    notes: ["Ends every agent and starts none again; it says which ones ran, with the command for each."],
    examples: ["opensentience core restart"],
    load: () => import("./commands/core-restart.ts"),
  },
  {
    noun: "core",
    verb: "rotate-token",
    summary: "Replace the token of the web page and end every session",
    positionals: [],
    options: {},
    notes: ["Signs nobody in: every browser needs a new link, every program the new token."],
    examples: ["opensentience core rotate-token"],
    load: () => import("./commands/core-rotate-token.ts"),
  },
  {
    noun: "open",
    summary: "Open the web page, signed in",
    positionals: [],
    options: { print: { type: "boolean", summary: "print the link, which signs in once within a minute" } },
    notes: ["Prints the link as well where there is no browser to open."],
    examples: ["opensentience open", "opensentience open --print"],
    load: () => import("./commands/open.ts"),
  },
  ...AGENTS_COMMANDS,
  ...TOOLS_COMMANDS,
  PROTOCOL_TEST,
  ...AUDIT_COMMANDS,
  {
    noun: "doctor",
    summary: "Check this machine and this home; each finding comes with the command that mends it",
    positionals: [],
    options: {},
    notes: ["Ends with exit code 1 when something fails."],
    examples: ["opensentience doctor"],
    load: () => import("./commands/doctor.ts"),
  },
  {
    noun: "completion",
    summary: "Print a completion script for your shell",
    positionals: [{ name: "SHELL", summary: "bash, zsh or fish", required: true, choices: SHELLS }],
    options: {},
    examples: ["opensentience completion bash > ~/.local/share/bash-completion/completions/opensentience"],
    load: () => import("./commands/completion.ts"),
  },
  {
    noun: "explain",
    summary: "Say what an error code means and what to do",
    positionals: [{ name: "CODE", summary: "an error code, e.g. enablement.drifted", required: true }],
    options: {},
    notes: ["An error ends with its code in parentheses; docs/errors.md has them all."],
    examples: ["opensentience explain enablement.drifted"],
    load: () => import("./commands/explain.ts"),
  },
  {
    noun: "help",
    summary: "Show help on a command",
    positionals: [{ name: "COMMAND", summary: "e.g. agents run", required: false, many: true }],
    options: {},
    examples: ["opensentience help agents run"],
    load: () => import("./commands/help.ts"),
  },
];

/** `agents run`, or `serve` where the noun stands alone. */
export function commandName(command: CommandSpec): string {
  return command.verb === undefined ? command.noun : `${command.noun} ${command.verb}`;
}
