/** The rows of the command table about agents. */
import type { RestartPolicy } from "@opensentience/protocol";
import { FOLLOW, YES } from "./options.ts";
import type { CommandSpec, OptionSpec, PositionalSpec } from "./context.ts";

const RESTART_CHOICES = ["never", "on-failure", "always"] as const satisfies readonly RestartPolicy[];
const AGENT: PositionalSpec = { name: "ID", summary: "id of the agent, e.g. com.example.echo", required: true };
const ALLOW_LOCAL: OptionSpec = { type: "boolean", summary: "allow a repository on this machine" };

export const AGENTS_COMMANDS: readonly CommandSpec[] = [
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
    notes: [
      "Marks an agent that is no longer what was approved, or whose approval ends within 24 hours; of more than 100 approved agents the first ones are looked at.",
    ],
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
    verb: "new",
    summary: "Write a new agent with one tool, to begin with; needs no Core and runs nothing",
    positionals: [{ name: "DIR", summary: "a new or empty folder", required: true }],
    options: {
      id: { type: "string", value: "ID", summary: "id of the agent (default: local. and the folder's name)" },
      name: { type: "string", value: "NAME", summary: "a name people read (default: the folder's)" },
    },
    examples: ["opensentience agents new ~/Projects/tide --id com.example.tide"],
    load: () => import("./commands/agents-new.ts"),
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
    notes: [
      "Of an agent that is not installed it removes the data that was kept; without any, one that no scan finds is forgotten, with its runs; its logs stay, and are named.",
    ],
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
      approve: {
        type: "string",
        value: "P,…",
        multiple: true,
        summary: "approve these permissions and no others (repeatable)",
      },
      expires: { type: "string", value: "D", summary: "end of the approval: a duration such as 30d, or a time" },
      unsandboxed: {
        type: "boolean",
        summary: "where no sandbox can be made, run it without one (needs --expires)",
      },
    },
    notes: [
      "Without --all and --approve it asks, permission by permission; that needs a terminal.",
      "What --approve does not name is not approved, also where it was before.",
    ],
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
    summary: "Show the captured output of an agent, or of its newest build",
    positionals: [AGENT],
    options: {
      follow: { ...FOLLOW, summary: "keep going, over restarts, until Ctrl-C or until nothing follows" },
      tail: { type: "string", value: "N", summary: "only the last N lines" },
      since: { type: "string", value: "TIME", summary: "from this time on: 10m, 2h, 3d, or 2026-01-31T12:00:00Z" },
      run: { type: "string", value: "RUN", summary: "of this run instead of the newest one" },
      build: { type: "boolean", summary: "what the newest build printed, step by step" },
    },
    examples: [
      "opensentience agents logs com.example.echo --tail 50 -f",
      "opensentience agents logs com.example.echo --build",
    ],
    load: () => import("./commands/agents-logs.ts"),
  },
  {
    noun: "agents",
    verb: "ps",
    summary: "Show the live runs, what they use of the machine, and what is about to be started again",
    positionals: [],
    options: { all: { type: "boolean", summary: "ended runs too" } },
    examples: ["opensentience agents ps"],
    load: () => import("./commands/agents-ps.ts"),
  },
];
