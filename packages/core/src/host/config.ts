/**
 * Settings: flag > environment > config.toml > default, each with its origin. The only reader of process.env.
 *
 * Unknown keys and bad values are `config.invalid` and name the nearest known key, if one is near. Core reads the file once, at its
 * start; `core status` shows every value with where it came from. The environment of Core as it was started is also
 * the source of approved `env:read` values; it is captured here and handed on by name only.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { CoreError, echoText, RESTART_POLICIES, type RestartPolicy } from "@opensentience/protocol";
import { guess } from "./near-word.ts";
import { pathsOf, type Paths } from "./paths.ts";
import { shellWord } from "./shell-word.ts";

export { guess, nearest, nearestId } from "./near-word.ts";

export type Origin = "flag" | "environment" | "file" | "default";

/** `required`: nothing of an agent runs outside a sandbox; `off`: nothing runs in one. */
const SANDBOX_MODES = ["required", "off"] as const;
export type SandboxMode = (typeof SANDBOX_MODES)[number];

type Kind = "text" | "texts" | "path_list" | "boolean" | "count" | "policy" | "address" | "sandbox";
/** Every number has its bounds, which are allowed themselves: beyond them is a mistake that shows only later, and oddly. */
type Setting = { environment?: string } & (
  | { default: unknown; kind: Exclude<Kind, "count"> }
  | { default: number; kind: "count"; min: number; max: number }
);

const KIBI = 1024;
const HOUR_MS = 3_600_000;
const MEBI = 1024 * 1024;
/** Node's timers know no longer time, and take a longer one for one millisecond. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Of files and git objects: far over every disk, and exact as a number. */
const MAX_BYTES = 2 ** 50;
/** Of config.toml. */
const MAX_FILE_BYTES = 256 * 1024;
const MAX_DEPTH = 8;
/** Its form; whether this machine has it shows when it is bound. */
const IP_ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)$/;
/** Characters of a refused value that a message shows. */
const MAX_SHOWN = 60;

/** Every key of config.toml. Sizes are bytes, `_ms` are milliseconds. */
export const SETTINGS = {
  scan_roots: {
    default: ["~/Projects", "~/.opensentience/agents"],
    kind: "path_list",
    environment: "OPENSENTIENCE_SCAN_ROOTS",
  },
  scan_interval_ms: {
    default: 300_000,
    kind: "count",
    min: 0,
    max: MAX_TIMER_MS,
    environment: "OPENSENTIENCE_SCAN_INTERVAL_MS",
  },
  scan_prune: { default: [".git", "node_modules", "_build", "deps", ".venv", "target"], kind: "texts" },
  "install.allow_ssh": { default: false, kind: "boolean" },
  "install.allow_local": { default: false, kind: "boolean" },
  "install.timeout_ms": { default: 300_000, kind: "count", min: 1_000, max: MAX_TIMER_MS },
  "install.max_bytes": { default: 1024 * MEBI, kind: "count", min: KIBI, max: MAX_BYTES },
  "install.max_files": { default: 200_000, kind: "count", min: 1, max: 10_000_000 },
  "build.timeout_ms": { default: 900_000, kind: "count", min: 1_000, max: MAX_TIMER_MS },
  "build.max_output_bytes": { default: 10 * MEBI, kind: "count", min: 64 * KIBI, max: 1024 * MEBI },
  "build.pass_env": { default: [], kind: "texts", environment: "OPENSENTIENCE_BUILD_PASS_ENV" },
  "build.hosts": { default: [], kind: "texts" },
  "launcher.stop_grace_ms": {
    default: 5_000,
    kind: "count",
    min: 0,
    max: MAX_TIMER_MS,
    environment: "OPENSENTIENCE_STOP_GRACE_MS",
  },
  "sandbox.mode": { default: "required", kind: "sandbox", environment: "OPENSENTIENCE_SANDBOX_MODE" },
  "sandbox.require_enforced": { default: false, kind: "boolean" },
  "limits.memory_bytes": { default: 0, kind: "count", min: 0, max: MAX_BYTES },
  "limits.disk_bytes": { default: 0, kind: "count", min: 0, max: MAX_BYTES },
  "limits.processes": { default: 0, kind: "count", min: 0, max: 1_000_000 },
  "restart.policy": { default: "never", kind: "policy" },
  "restart.max_attempts": { default: 5, kind: "count", min: 0, max: 1_000_000 },
  "restart.window_ms": { default: 60_000, kind: "count", min: 0, max: MAX_TIMER_MS },
  "restart.initial_ms": { default: 500, kind: "count", min: 0, max: MAX_TIMER_MS },
  "restart.max_ms": { default: 30_000, kind: "count", min: 0, max: MAX_TIMER_MS },
  "restart.stable_ms": { default: 30_000, kind: "count", min: 0, max: MAX_TIMER_MS },
  "logs.max_line_bytes": { default: 8192, kind: "count", min: 256, max: MEBI },
  "logs.max_file_bytes": { default: 10 * MEBI, kind: "count", min: 64 * KIBI, max: 1024 * MEBI },
  "logs.max_files": { default: 5, kind: "count", min: 1, max: 1_000 },
  "logs.keep_runs": { default: 20, kind: "count", min: 1, max: 10_000 },
  "runtime.handshake_timeout_ms": { default: 10_000, kind: "count", min: 100, max: MAX_TIMER_MS },
  "runtime.heartbeat_interval_ms": { default: 5_000, kind: "count", min: 100, max: MAX_TIMER_MS },
  "runtime.missed_heartbeats": { default: 3, kind: "count", min: 1, max: 1_000 },
  "runtime.call_idle_ms": { default: 60_000, kind: "count", min: 100, max: MAX_TIMER_MS },
  "runtime.call_total_ms": { default: 600_000, kind: "count", min: 100, max: MAX_TIMER_MS },
  "runtime.calls_at_once": { default: 64, kind: "count", min: 1, max: 10_000 },
  "runtime.calls_per_minute": { default: 6_000, kind: "count", min: 1, max: 10_000_000 },
  "audit.checkpoint_events": { default: 256, kind: "count", min: 1, max: 1_000_000 },
  "audit.checkpoint_interval_ms": { default: 60_000, kind: "count", min: 100, max: MAX_TIMER_MS },
  "web.enabled": { default: true, kind: "boolean", environment: "OPENSENTIENCE_WEB_ENABLED" },
  "web.port": { default: 6767, kind: "count", min: 0, max: 65_535, environment: "OPENSENTIENCE_WEB_PORT" },
  "web.unsafe_bind": { default: "127.0.0.1", kind: "address" },
  "web.session_idle_ms": { default: 8 * HOUR_MS, kind: "count", min: 1_000, max: MAX_TIMER_MS },
  "web.session_max_ms": { default: 168 * HOUR_MS, kind: "count", min: 1_000, max: MAX_TIMER_MS },
  "web.keep_alive_ms": { default: 15_000, kind: "count", min: 100, max: 300_000 },
  "tools.path": { default: "/usr/local/bin:/usr/bin:/bin", kind: "text", environment: "OPENSENTIENCE_TOOLS_PATH" },
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof SETTINGS;
type ValueOf<K extends Kind> = K extends "text" | "address"
  ? string
  : K extends "texts" | "path_list"
    ? string[]
    : K extends "boolean"
      ? boolean
      : K extends "count"
        ? number
        : K extends "policy"
          ? RestartPolicy
          : K extends "sandbox"
            ? SandboxMode
            : string;

export class Config {
  readonly paths: Paths;
  readonly #values: Map<string, { value: unknown; origin: Origin }>;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(paths: Paths, values: Map<string, { value: unknown; origin: Origin }>, environment: NodeJS.ProcessEnv) {
    this.paths = paths;
    this.#values = values;
    this.#environment = environment;
  }

  get<K extends SettingKey>(key: K): ValueOf<(typeof SETTINGS)[K]["kind"]> {
    return this.#values.get(key)?.value as ValueOf<(typeof SETTINGS)[K]["kind"]>;
  }

  /** One variable of the environment Core was started with; used for approved `env:read` and `build.pass_env` only. */
  environmentValue(name: string): string | undefined {
    return this.#environment[name];
  }

  /** PATH for agents, builds and git: the folder of the Node that runs Core, then `tools.path`. */
  get toolPath(): string {
    return `${join(process.execPath, "..")}:${this.get("tools.path")}`;
  }

  get operatorHome(): string {
    return this.#environment.HOME ?? homedir();
  }

  list(): { key: string; value: unknown; origin: Origin }[] {
    return [...this.#values].map(([key, { value, origin }]) => ({ key, value, origin }));
  }
}

/** Where this operator's Core lives; cheap, reads no file. */
export function homePaths(flagHome?: string): Promise<Paths> {
  const env = process.env;
  const chosen = flagHome ?? env.OPENSENTIENCE_HOME;
  const home = chosen === undefined || chosen === "" ? join(homedir(), ".opensentience") : resolve(chosen);
  return pathsOf(home, env.XDG_RUNTIME_DIR, process.getuid?.() ?? 0);
}

/** Throws `config.invalid` with the key and, for an unknown one, the nearest known key if one is near. */
export async function loadConfig(paths: Paths, flags: Partial<Record<SettingKey, string>> = {}): Promise<Config> {
  const environment = { ...process.env };
  const values = new Map<string, { value: unknown; origin: Origin }>();
  const file = await readConfigFile(paths.config);
  for (const [key, setting] of Object.entries(SETTINGS) as [SettingKey, Setting][]) {
    const fromFlag = flags[key];
    const fromEnvironment = setting.environment === undefined ? undefined : environment[setting.environment];
    const chosen: [unknown, Origin] =
      fromFlag !== undefined
        ? [fromText(key, setting.kind, fromFlag, inFlag(key)), "flag"]
        : fromEnvironment !== undefined && fromEnvironment !== ""
          ? [fromText(key, setting.kind, fromEnvironment, inVariable(setting.environment ?? "")), "environment"]
          : file.has(key)
            ? [checked(key, setting.kind, file.get(key), inFile(paths.config)), "file"]
            : [setting.default, "default"];
    const value =
      setting.kind === "path_list"
        ? expandHome(chosen[0] as string[], paths.home, environment.HOME ?? homedir())
        : chosen[0];
    values.set(key, { value, origin: chosen[1] });
  }
  return new Config(paths, values, environment);
}

/** What keeps config.toml from being accepted at the next start, whatever a variable or flag overrides now; null when nothing does. */
export async function configFileFault(path: string): Promise<CoreError | null> {
  try {
    const file = await readConfigFile(path);
    for (const [key, setting] of Object.entries(SETTINGS) as [SettingKey, Setting][])
      if (file.has(key)) checked(key, setting.kind, file.get(key), inFile(path));
    return null;
  } catch (error) {
    if (error instanceof CoreError) return error;
    throw error;
  }
}

/** Where a test lets this Core die (kill-point.ts). Not a setting of config.toml: only who starts Core can say it. */
export function killPointSetting(): string | undefined {
  return process.env.OPENSENTIENCE_KILL_POINT;
}

/** The CLI's view of the environment: only what decides how things are shown or where to look. */
export function terminalEnvironment(): { noColor: boolean; ci: boolean } {
  const noColor = process.env.NO_COLOR;
  return { noColor: noColor !== undefined && noColor !== "", ci: process.env.CI !== undefined };
}

/** Environment for the background Core that a command starts: the operator's own, as `serve` would have had. */
export function inheritedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

async function readConfigFile(path: string): Promise<Map<string, unknown>> {
  const text = readText(path);
  if (text === undefined) return new Map();
  let table: Record<string, unknown>;
  // Only Core reads the file; commands must not pay for the parser.
  const { parse: parseToml } = await import("smol-toml");
  try {
    table = parseToml(text);
  } catch (error) {
    const line = (error as { line?: number }).line;
    throw new CoreError("config.invalid", `${path} is not valid TOML${line === undefined ? "" : ` (line ${line})`}`, {
      nextStep: editing(path),
    });
  }
  const flat = new Map<string, unknown>();
  flatten(table, "", flat);
  for (const key of flat.keys()) {
    if (Object.hasOwn(SETTINGS, key)) continue;
    throw new CoreError(
      "config.invalid",
      `unknown setting "${key.slice(0, 80)}" in ${path}${guess(key, Object.keys(SETTINGS))}`,
      {
        details: { key: key.slice(0, 80) },
        nextStep: editing(path),
      },
    );
  }
  return flat;
}

/** Undefined where there is no such file. */
function readText(path: string): string | undefined {
  let file: number;
  try {
    // SECURITY: a FIFO would keep Core waiting with the lock of the home in its hand; pinned by
    // "a settings file that is no file, or far too large, is refused at once".
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unreadable(path, "cannot be read", error);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw unreadable(path, "is not a regular file");
    if (stat.size > MAX_FILE_BYTES) throw unreadable(path, `is over ${MAX_FILE_BYTES / 1024} KiB`);
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

function unreadable(path: string, reason: string, cause?: unknown): CoreError {
  return new CoreError("config.invalid", `${path} ${reason}`, { cause, nextStep: `ls -l ${path}` });
}

/** Tables within tables become `table.key`; what lies deeper than any setting stays one value under an unknown key. */
function flatten(table: Record<string, unknown>, prefix: string, into: Map<string, unknown>, depth = 0): void {
  for (const [key, value] of Object.entries(table)) {
    const isTable = typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
    if (isTable && depth < MAX_DEPTH) flatten(value as Record<string, unknown>, `${prefix}${key}.`, into, depth + 1);
    else into.set(`${prefix}${key}`, value);
  }
}

/** Where a value stands, for people, and the command with which they get at it. */
type Place = { text: string; nextStep: string };

function inFile(path: string): Place {
  return { text: `in ${path}`, nextStep: editing(path) };
}

function inVariable(name: string): Place {
  return { text: `in the environment variable ${name}`, nextStep: `unset ${name}` };
}

function inFlag(key: string): Place {
  return { text: `in --set ${key}=…`, nextStep: "opensentience help core start" };
}

function editing(path: string): string {
  return `\${EDITOR:-vi} ${shellWord(path)}`;
}

function fromText(key: string, kind: Kind, text: string, place: Place): unknown {
  const value = valueOf(kind, text);
  return checked(key, kind, value, place);
}

/** As config.toml would hold it; text that means nothing of this kind stays text. */
function valueOf(kind: Kind, text: string): unknown {
  if (kind === "texts" || kind === "path_list") return text.split(":").filter((part) => part !== "");
  if (kind === "boolean")
    return text === "true" || text === "1" ? true : text === "false" || text === "0" ? false : text;
  return kind === "count" && /^\d+$/.test(text) ? Number(text) : text;
}

function checked(key: string, kind: Kind, value: unknown, place: Place): unknown {
  const expected = fault(key, kind, value);
  if (expected === undefined) return value;
  throw new CoreError("config.invalid", `setting "${key}" must be ${expected}, not ${shown(value)} (${place.text})`, {
    details: { key },
    nextStep: place.nextStep,
  });
}

/** What a value of this kind has to be, undefined when it is. */
function fault(key: string, kind: Kind, value: unknown): string | undefined {
  const isTexts = Array.isArray(value) && value.every((item) => typeof item === "string" && item !== "");
  switch (kind) {
    case "text":
      return typeof value === "string" && value !== "" ? undefined : "a non-empty text";
    case "address":
      return typeof value === "string" && IP_ADDRESS.test(value) ? undefined : "an IP address of this machine";
    case "texts":
      return isTexts ? undefined : "a list of texts";
    case "path_list":
      if (!isTexts) return "a list of texts";
      return value.every((item: string) => item.startsWith("~/") || isAbsolute(item))
        ? undefined
        : "a list of absolute paths (or paths that begin with ~/)";
    case "boolean":
      return typeof value === "boolean" ? undefined : "true or false";
    case "count": {
      const { min, max } = rangeOf(key);
      const isCount = typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
      return isCount ? undefined : `a whole number from ${min} to ${max}`;
    }
    case "sandbox":
      return SANDBOX_MODES.includes(value as SandboxMode) ? undefined : `one of ${SANDBOX_MODES.join(", ")}`;
    case "policy":
      return RESTART_POLICIES.includes(value as RestartPolicy) ? undefined : `one of ${RESTART_POLICIES.join(", ")}`;
  }
}

/** What somebody set, safe for a terminal and short; TOML knows numbers, dates and tables that JSON does not. */
function shown(value: unknown): string {
  if (typeof value === "string") return `"${echoText(value, MAX_SHOWN)}"`;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof Date) return "a date";
  if (Array.isArray(value)) return echoText(`[${value.slice(0, 10).map(shown).join(", ")}]`, MAX_SHOWN);
  return "a table";
}

function rangeOf(key: string): { min: number; max: number } {
  const setting: Setting | undefined = SETTINGS[key as SettingKey];
  return setting?.kind === "count" ? setting : { min: 0, max: Number.MAX_SAFE_INTEGER };
}

/** `~/.opensentience` in a default root means this home, wherever OPENSENTIENCE_HOME put it. */
function expandHome(roots: string[], home: string, operatorHome: string): string[] {
  return roots.map((root) => {
    if (root === "~/.opensentience/agents") return join(home, "agents");
    return root.startsWith("~/") ? join(operatorHome, root.slice(2)) : root;
  });
}
