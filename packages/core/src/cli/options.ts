/** Options that several commands have, and those that every command has. */
import type { OptionSpec } from "./context.ts";

export const FOLLOW: OptionSpec = { type: "boolean", short: "f", summary: "keep going until Ctrl-C" };
export const SHELLS = ["bash", "zsh", "fish"] as const;
export const YES: OptionSpec = { type: "boolean", summary: "do not ask" };
/** As many lines as Core gives out at once. */
export const MAX_TAIL = 100_000;

/** Shown by every command. */
export const GLOBAL_OPTIONS: Record<string, OptionSpec> = {
  json: { type: "boolean", summary: "machine-readable result on stdout; errors as JSON on stderr" },
  "no-start": { type: "boolean", summary: "fail instead of starting Core when it is not running" },
  home: { type: "string", value: "DIR", summary: "home of Core (default: $OPENSENTIENCE_HOME or ~/.opensentience)" },
  quiet: { type: "boolean", summary: "results and errors only" },
  help: { type: "boolean", short: "h", summary: "show help" },
  version: { type: "boolean", summary: "show the version" },
};
