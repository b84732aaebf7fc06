/**
 * The one literal table of commands. Parsing, help, near-miss suggestions and docs/cli.md all come from it; a command
 * that is not here does not exist. Each row loads its own file only when it is run, which keeps start-up short.
 */
import type { RestartPolicy } from "@opensentience/protocol";
import type { CommandSpec, OptionSpec, PositionalSpec } from "./context.ts";

const RESTART_CHOICES = ["never", "on-failure", "always"] as const satisfies readonly RestartPolicy[];
const SEVERITY_CHOICES = ["info", "warn", "error", "security"];

const AGENT: PositionalSpec = { name: "ID", summary: "id of the agent, e.g. com.example.echo", required: true };
const FOLLOW: OptionSpec = { type: "boolean", short: "f", summary: "keep going until Ctrl-C" };
const ALLOW_LOCAL: OptionSpec = { type: "boolean", summary: "allow a repository on this machine" };
const YES: OptionSpec = { type: "boolean", summary: "do not ask" };
const SET: OptionSpec = {
  type: "string",
  value: "KEY=VALUE",
  multiple: true,
  summary: "override a setting of config.toml (repeatable)",
};

const AUDIT_FILTERS: Record<string, OptionSpec> = {
  type: { type: "string", value: "TYPE", summary: "only this type of event, e.g. agent.enabled" },
  agent: { type: "string", value: "ID", summary: "only events about this agent" },
  actor: { type: "string", value: "ACTOR", summary: "only what this actor did" },
  severity: { type: "string", value: "LEVEL", choices: SEVERITY_CHOICES, summary: "only this severity" },
  "correlation-id": { type: "string", value: "ID", summary: "only what one command or session caused" },
  since: { type: "string", value: "TIME", summary: "from this time on: 10m, 2h, 3d, or 2026-01-31T12:00:00Z" },
  until: { type: "string", value: "TIME", summary: "up to this time" },
};

/** Shown by every command. */
export const GLOBAL_OPTIONS: Record<string, OptionSpec> = {
  json: { type: "boolean", summary: "machine-readable result on stdout; errors as JSON on stderr" },
  "no-start": { type: "boolean", summary: "fail instead of starting Core when it is not running" },
  home: { type: "string", value: "DIR", summary: "home of Core (default: $OPENSENTIENCE_HOME or ~/.opensentience)" },
  quiet: { type: "boolean", summary: "results and errors only" },
  help: { type: "boolean", short: "h", summary: "show help" },
  version: { type: "boolean", summary: "show the version" },
};

/** What each noun is about, in the order of the help. */
export const NOUNS: Record<string, string> = {
  serve: "Core in the foreground",
  core: "Core in the background",
  agents: "find, install, build, approve and run agents",
  audit: "the record of what was done",
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
    notes: ["Never starts Core. Ends with exit code 5 when Core is not running."],
    examples: ["opensentience core status", "opensentience core status --json"],
    load: () => import("./commands/core-status.ts"),
  },
  {
    noun: "core",
    verb: "restart",
    summary: "Stop Core and start it again",
    positionals: [],
    options: { set: SET },
    examples: ["opensentience core restart"],
    load: () => import("./commands/core-restart.ts"),
  },
  {
    noun: "agents",
    verb: "scan",
    summary: "Look for agents on disk; reads manifests, executes nothing",
    positionals: [
      { name: "PATH", summary: "folder to scan instead of the configured roots", required: false, many: true },
    ],
    options: {},
    examples: ["opensentience agents scan", "opensentience agents scan ~/src/agents"],
    load: () => import("./commands/agents-scan.ts"),
  },
  {
    noun: "agents",
    verb: "list",
    summary: "List the known agents",
    positionals: [],
    options: {},
    examples: ["opensentience agents list"],
    load: () => import("./commands/agents-list.ts"),
  },
  {
    noun: "agents",
    verb: "search",
    summary: "Search id, name, description and keywords",
    positionals: [{ name: "Q", summary: "words to search for", required: true, many: true }],
    options: {},
    examples: ["opensentience agents search echo"],
    load: () => import("./commands/agents-search.ts"),
  },
  {
    noun: "agents",
    verb: "info",
    summary: "What an agent may do, what it has done, what changed since its approval",
    positionals: [AGENT],
    options: {},
    examples: ["opensentience agents info com.example.echo"],
    load: () => import("./commands/agents-info.ts"),
  },
  {
    noun: "agents",
    verb: "install",
    summary: "Fetch an agent from git; executes nothing of it",
    positionals: [
      { name: "ID|URL", summary: "a known agent, the git URL of one, or with --dev a folder", required: true },
    ],
    options: {
      "git-url": { type: "string", value: "URL", summary: "git URL to install the agent ID from" },
      ref: { type: "string", value: "REF", summary: "branch, tag or commit" },
      "allow-local": ALLOW_LOCAL,
      dev: { type: "boolean", summary: "run the folder PATH in place, for its author; its code is not pinned" },
    },
    examples: [
      "opensentience agents install https://example.com/echo.git --ref v1.0.0",
      "opensentience agents install com.example.echo",
      "opensentience agents install --dev ~/Projects/echo",
    ],
    load: () => import("./commands/agents-install.ts"),
  },
  {
    noun: "agents",
    verb: "update",
    summary: "Fetch an installed agent again and move to the newest commit; executes nothing of it",
    positionals: [AGENT],
    options: {
      ref: { type: "string", value: "REF", summary: "another branch, tag or commit" },
      "allow-local": ALLOW_LOCAL,
    },
    examples: [
      "opensentience agents update com.example.echo",
      "opensentience agents update com.example.echo --ref v2.0.0",
    ],
    load: () => import("./commands/agents-update.ts"),
  },
  {
    noun: "agents",
    verb: "rollback",
    summary: "Go back to what was installed before the last install or update",
    positionals: [AGENT],
    options: {},
    notes: ["An approval that fits the earlier state counts again; a second rollback goes forth again."],
    examples: ["opensentience agents rollback com.example.echo"],
    load: () => import("./commands/agents-rollback.ts"),
  },
  {
    noun: "agents",
    verb: "remove",
    summary: "Remove an installed agent, its data and its approval; runs and audit events stay",
    positionals: [AGENT],
    options: { "keep-data": { type: "boolean", summary: "leave the agent's own data" }, yes: YES },
    examples: [
      "opensentience agents remove com.example.echo",
      "opensentience agents remove com.example.echo --keep-data --yes",
    ],
    load: () => import("./commands/agents-remove.ts"),
  },
  {
    noun: "agents",
    verb: "build",
    summary: "Build an installed agent",
    positionals: [AGENT],
    options: { plan: { type: "boolean", summary: "show what would run, and run nothing" }, yes: YES },
    executesThirdPartyCode: true,
    examples: [
      "opensentience agents build com.example.echo --plan",
      "opensentience agents build com.example.echo --yes",
    ],
    load: () => import("./commands/agents-build.ts"),
  },
  {
    noun: "agents",
    verb: "enable",
    summary: "Approve some or all permissions of an agent, for exactly the state it is in",
    positionals: [AGENT],
    options: {
      all: { type: "boolean", summary: "approve everything it requests" },
      approve: { type: "string", value: "P,…", multiple: true, summary: "approve these permissions (repeatable)" },
      expires: { type: "string", value: "D", summary: "end of the approval: a duration such as 30d, or a time" },
    },
    notes: ["Without --all and --approve it asks, permission by permission; that needs a terminal."],
    examples: [
      "opensentience agents enable com.example.echo",
      "opensentience agents enable com.example.echo --approve network:egress:api.example.com --expires 30d",
    ],
    load: () => import("./commands/agents-enable.ts"),
  },
  {
    noun: "agents",
    verb: "revoke",
    summary: "Withdraw the approval; a running agent is stopped",
    positionals: [AGENT],
    options: {},
    examples: ["opensentience agents revoke com.example.echo"],
    load: () => import("./commands/agents-revoke.ts"),
  },
  {
    noun: "agents",
    verb: "diff",
    summary: "Show what changed since the approval",
    positionals: [AGENT],
    options: {},
    examples: ["opensentience agents diff com.example.echo"],
    load: () => import("./commands/agents-diff.ts"),
  },
  {
    noun: "agents",
    verb: "run",
    summary: "Start an enabled agent",
    positionals: [AGENT],
    options: {
      restart: {
        type: "string",
        value: "POLICY",
        choices: RESTART_CHOICES,
        summary: "what to do when it ends; kept for the agent",
      },
      yes: { type: "boolean", summary: "accepted for scripts; the approval was the decision, so run never asks" },
    },
    passthrough: true,
    executesThirdPartyCode: true,
    notes: ["Fails when the agent ends within its start window, and shows its last lines."],
    examples: [
      "opensentience agents run com.example.echo",
      "opensentience agents run com.example.echo --restart on-failure -- --verbose",
    ],
    load: () => import("./commands/agents-run.ts"),
  },
  {
    noun: "agents",
    verb: "stop",
    summary: "Stop an agent and everything it started",
    positionals: [AGENT],
    options: {},
    examples: ["opensentience agents stop com.example.echo"],
    load: () => import("./commands/agents-stop.ts"),
  },
  {
    noun: "agents",
    verb: "restart",
    summary: "Stop an agent and start it again",
    positionals: [AGENT],
    options: {},
    executesThirdPartyCode: true,
    examples: ["opensentience agents restart com.example.echo"],
    load: () => import("./commands/agents-restart.ts"),
  },
  {
    noun: "agents",
    verb: "logs",
    summary: "Show the captured output of an agent",
    positionals: [AGENT],
    options: {
      follow: FOLLOW,
      tail: { type: "string", value: "N", summary: "only the last N lines" },
      since: { type: "string", value: "TIME", summary: "from this time on: 10m, 2h, 3d, or 2026-01-31T12:00:00Z" },
      run: { type: "string", value: "RUN", summary: "of this run instead of the newest one" },
    },
    examples: ["opensentience agents logs com.example.echo --tail 50 -f"],
    load: () => import("./commands/agents-logs.ts"),
  },
  {
    noun: "agents",
    verb: "ps",
    summary: "Show the live runs and what they use of the machine",
    positionals: [],
    options: { all: { type: "boolean", summary: "ended runs too" } },
    examples: ["opensentience agents ps"],
    load: () => import("./commands/agents-ps.ts"),
  },
  {
    noun: "audit",
    verb: "tail",
    summary: "Show the newest audit events, oldest of them first",
    positionals: [],
    options: { follow: FOLLOW, tail: { type: "string", value: "N", summary: "how many to start with (default 20)" } },
    examples: ["opensentience audit tail -f"],
    load: () => import("./commands/audit-tail.ts"),
  },
  {
    noun: "audit",
    verb: "list",
    summary: "List audit events, newest first",
    positionals: [],
    options: {
      ...AUDIT_FILTERS,
      limit: { type: "string", value: "N", summary: "at most this many, up to 500 (default 50)" },
      cursor: { type: "string", value: "CURSOR", summary: "go on where an earlier list ended" },
    },
    examples: [
      "opensentience audit list --agent com.example.echo --since 1d",
      "opensentience audit list --severity security",
    ],
    load: () => import("./commands/audit-list.ts"),
  },
  {
    noun: "audit",
    verb: "show",
    summary: "Show one audit event",
    positionals: [{ name: "EVENT_ID", summary: "id of the event (evt_…)", required: true }],
    options: {},
    examples: ["opensentience audit show evt_01930c5e-7d3a-7c52-9f2e-0a1b2c3d4e5f"],
    load: () => import("./commands/audit-show.ts"),
  },
  {
    noun: "audit",
    verb: "verify",
    summary: "Recompute the whole audit chain; exit code 1 when it is not intact",
    positionals: [],
    options: {},
    examples: ["opensentience audit verify"],
    load: () => import("./commands/audit-verify.ts"),
  },
  {
    noun: "audit",
    verb: "checkpoint",
    summary: "Sign the current head of the audit log and print the note",
    positionals: [],
    options: {},
    examples: ["opensentience audit checkpoint > checkpoint.txt"],
    load: () => import("./commands/audit-checkpoint.ts"),
  },
  {
    noun: "audit",
    verb: "export",
    summary: "Write audit events in order, one JSON document per line",
    positionals: [],
    options: AUDIT_FILTERS,
    examples: ["opensentience audit export --since 30d > audit.jsonl"],
    load: () => import("./commands/audit-export.ts"),
  },
  {
    noun: "explain",
    summary: "Say what an error code means and what to do",
    positionals: [{ name: "CODE", summary: "an error code, e.g. enablement.drifted", required: true }],
    options: {},
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
