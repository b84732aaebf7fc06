/**
 * What somebody meant who typed a word that no command has. Habits of other tools come first (`rm`, `uninstall`,
 * `disable`), since the word that is nearest by letters may do the opposite; then typing mistakes in both.
 */
import { nearest } from "../host/config.ts";
import { COMMANDS, NOUNS } from "./commands.ts";

/** Noun → other words → verb. */
const OTHER_WORDS: Record<string, Record<string, string>> = {
  agents: {
    uninstall: "remove",
    delete: "remove",
    rm: "remove",
    disable: "revoke",
    deny: "revoke",
    unapprove: "revoke",
    approve: "enable",
    allow: "enable",
    permit: "enable",
    start: "run",
    launch: "run",
    exec: "run",
    kill: "stop",
    ls: "list",
    show: "info",
    status: "info",
    inspect: "info",
    find: "search",
    discover: "scan",
    add: "install",
    clone: "install",
    upgrade: "update",
    pull: "update",
    compile: "build",
    log: "logs",
    changes: "diff",
  },
  tools: { ls: "list", show: "info", describe: "info", run: "call", exec: "call", invoke: "call" },
  core: { up: "start", run: "start", down: "stop", kill: "stop", shutdown: "stop", info: "status", reload: "restart" },
  audit: { ls: "list", log: "list", events: "list", check: "verify", follow: "tail", info: "show", delete: "erase" },
};

/** Other words → option; only where the command has it. */
const OTHER_OPTIONS: Record<string, string> = {
  a: "all",
  d: "input",
  data: "input",
  force: "yes",
  i: "input",
  lines: "tail",
  n: "tail",
  q: "quiet",
  y: "yes",
};

/** Without their noun these mean Core; with an id behind them, an agent. */
const OF_CORE = ["start", "stop", "restart", "status"];

/** The verb that was meant, undefined where nothing is near. */
export function verbMeant(noun: string, word: string): string | undefined {
  const others = OTHER_WORDS[noun] ?? {};
  const near = nearest(word, [...verbsOf(noun), ...Object.keys(others)]);
  return near !== undefined && Object.hasOwn(others, near) ? others[near] : near;
}

/** The option that was meant by a name that is not in `known`. */
export function optionMeant(name: string, known: readonly string[]): string | undefined {
  const other = Object.hasOwn(OTHER_OPTIONS, name) ? OTHER_OPTIONS[name] : undefined;
  return other !== undefined && known.includes(other) ? other : nearest(name, known);
}

/** The words (or the option) that were meant by a first word that is no noun; `argument` is the word behind it. */
export function commandMeant(word: string, argument: string | undefined): string | undefined {
  if (word === "version" || word === "-v" || word === "-V") return "--version";
  const noun = nearest(word, Object.keys(NOUNS));
  if (noun !== undefined) return noun;
  if (argument === undefined && OF_CORE.includes(word)) return `core ${word}`;
  for (const candidate of ["agents", "audit"]) {
    const verb = verbMeant(candidate, word);
    if (verb !== undefined) return `${candidate} ${verb}`;
  }
  return undefined;
}

function verbsOf(noun: string): string[] {
  return COMMANDS.filter((command) => command.noun === noun).map((command) => command.verb ?? "");
}
