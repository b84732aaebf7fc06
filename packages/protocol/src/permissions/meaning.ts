/** What a permission means in plain words, and which risk goes with a wide one. Facts to show, never a block. */
import { echoText } from "../printable-text.ts";
import { isReservedVariable } from "../run-environment.ts";
import { type Permission, parsePermission, understand } from "./grammar.ts";
import type { HostPattern } from "./host-pattern.ts";
import { type PathPattern, includesPath, parsePathPattern } from "./path-pattern.ts";

export type PermissionDescription = { meaning: string; risk: string | null };

/** Never throws; text that is no permission is described as such. */
export function describePermission(permission: string): PermissionDescription {
  const parsed = parsePermission(permission);
  if (parsed === undefined) {
    return {
      meaning: `Not a permission: ${echoText(permission)}`,
      risk: "It does not follow domain:action[:pattern], so it grants nothing Core knows.",
    };
  }
  const known = understand(permission);
  switch (known.kind) {
    case "path":
      return describePath(parsed.pattern ?? "", known.write);
    case "host":
      return describeHost(known.host);
    case "env":
      return describeEnv(known.name);
    case "tool":
      return describeTool(known.tool);
    case "carried":
      return describeCarried(parsed);
    case "opaque":
      return describeOpaque(parsed);
  }
}

function describePath(pattern: string, write: boolean): PermissionDescription {
  const verb = write ? "Read and change" : "Read";
  return { meaning: `${verb} ${pathInWords(pattern)}`, risk: pathRisk(pattern, write) };
}

function pathInWords(pattern: string): string {
  const below = pattern.endsWith("/**") ? pattern.slice(0, -3) || "/" : undefined;
  if (below !== undefined && !below.includes("*")) return `every file under ${below} and below`;
  const direct = pattern.endsWith("/*") ? pattern.slice(0, -2) || "/" : undefined;
  if (direct !== undefined && !direct.includes("*")) return `what lies directly in ${direct}, not below`;
  return pattern.includes("*") ? `every path that fits ${pattern}` : `only ${pattern}`;
}

/** Places whose contents are keys or logins. */
const SECRET_PLACES = places(
  "~/.ssh ~/.gnupg ~/.aws ~/.azure ~/.kube ~/.docker ~/.netrc ~/.npmrc ~/.pypirc ~/.git-credentials",
  "~/.password-store ~/.mozilla ~/.opensentience ~/.config/gcloud ~/.config/gh ~/.config/opensentience",
  "~/.local/share/keyrings /etc/shadow /etc/ssh /proc /run/secrets",
);
/** Places whose files are the kernel's own settings. */
const KERNEL_PLACES = places("/proc /sys");
/** What a process tells of itself without its memory, environment, arguments or open files. */
const HARMLESS_OF_PROCESS =
  /^(?:status|stat|statm|limits|cgroup|mounts|mountinfo|mountstats|io|comm|loginuid|sessionid|oom_score|oom_score_adj|sched|schedstat|wchan|net)$/;
/** Places that the operator's session or the system runs programs from. */
const STARTUP_PLACES = places(
  "~/.bashrc ~/.bash_profile ~/.profile ~/.zshrc ~/.config/autostart ~/.config/systemd ~/.local/bin",
  "/etc /usr /bin /sbin /lib /opt /boot",
);

type Place = { name: string; itself: PathPattern; below: PathPattern };

function places(...lines: readonly string[]): Place[] {
  return lines
    .join(" ")
    .split(" ")
    .map((name) => ({ name, itself: pathPattern(name), below: pathPattern(`${name}/**`) }));
}

/** For patterns written in this file, which are valid. */
function pathPattern(text: string): PathPattern {
  return parsePathPattern(text) ?? { root: "/", segments: [] };
}

/** Of the kernel as a whole (`/proc/meminfo`), or harmless of a process: neither is where keys are. A wildcard may be any process. */
function isPlainKernelFact(pattern: string): boolean {
  const [root, place, first = "*", second = "*"] = pattern.split("/");
  if (root !== "" || place !== "proc" || first.includes("*") || /^(?:kcore|keys)$/.test(first)) return false;
  return !/^(?:\d+|self|thread-self)$/.test(first) || HARMLESS_OF_PROCESS.test(second);
}

function pathRisk(pattern: string, write: boolean): string | null {
  // `/home/ada/.ssh` is judged as `~/.ssh`: whose home it is makes no difference to the warning.
  const inHome = pattern
    .replace(/^\/(?:home|Users)\/\*\*(?=\/|$)/, "~/**")
    .replace(/^\/(?:(?:home|Users)\/[^/]+|root)(?=\/|$)/, "~");
  const readings = [pathPattern(pattern), pathPattern(inHome)];
  const covers = (place: PathPattern): boolean => readings.some((reading) => includesPath(reading, place));
  const touches = ({ itself, below }: Place): boolean =>
    covers(itself) || readings.some((reading) => includesPath(below, reading));
  const change = write ? "read and change" : "read";
  if (covers(pathPattern("/**"))) return `It can ${change} every file on this machine that you can.`;
  if (covers(pathPattern("~/**"))) return `It can ${change} every file in your home, keys and logins included.`;
  const isPlain = isPlainKernelFact(pattern);
  const secret = isPlain ? undefined : SECRET_PLACES.find(touches);
  if (secret !== undefined) return `It can ${change} ${secret.name}, where keys or logins are kept.`;
  const kernel = write ? KERNEL_PLACES.find(touches) : undefined;
  if (kernel !== undefined) return `It can change ${kernel.name}, by which the system itself is steered.`;
  const startup = write ? STARTUP_PLACES.find(touches) : undefined;
  return startup === undefined ? null : `It can change ${startup.name}, which your own session or the system runs.`;
}

/** Names and addresses of this machine and of private networks. */
const NEAR =
  /^(?:local|localhost|.*\.localhost|.*\.local|127\..*|10\..*|192\.168\..*|172\.(?:1[6-9]|2\d|3[01])\..*|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\..*|169\.254\..*|0\.0\.0\.0|\[::1?\]|\[f[cde].*\]|\[::ffff:.*\])$/;

function describeHost({ kind, host, port }: HostPattern): PermissionDescription {
  const at = port === undefined ? "on every port" : `on port ${port}`;
  const isNear = NEAR.test(host);
  // As the way out of a run judges it: addresses of this machine and of private networks want name and port.
  const unreached =
    isNear && (kind === "below" || port === undefined)
      ? `Approved like this it reaches nothing in a sandbox: what is on this machine or in a private network has to be named with its port, for example network:egress:${kind === "below" ? `name.${host}` : host}:${port ?? 8080}.`
      : null;
  if (kind === "any") {
    return {
      meaning: `Connect to any host ${at}`,
      risk: "Whatever the agent can read it can send anywhere.",
    };
  }
  if (kind === "below") {
    const wide = !host.includes(".") ? `That is every site whose name ends in .${host}.` : null;
    return { meaning: `Connect to every host below ${host} ${at}`, risk: unreached ?? wide };
  }
  const risk = isNear ? "It reaches services on this machine or in your own network." : null;
  return { meaning: `Connect to ${host} ${at}`, risk: unreached ?? risk };
}

const SECRET_NAME =
  /SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|AUTH|COOKIE|DATABASE_URL|(?:^|_)(?:API)?KEYS?(?:_|$)|APIKEY|(?:^|_)(?:PAT|PWD|DSN)(?:_|$)/i;

/** Names by which a loader, a language's runtime, a shell or git takes code or options from the environment. */
const STEERING_NAME =
  /^(?:LD_.*|DYLD_.*|GIT_.*|.*_OPTIONS|PYTHONSTARTUP|PYTHONPATH|PYTHONHOME|PERL5LIB|PERL5OPT|RUBYLIB|RUBYOPT|NODE_PATH|BASH_ENV|ENV)$/;

function describeEnv(name: string): PermissionDescription {
  return { meaning: `Receive the environment variable ${name}`, risk: envRisk(name) };
}

function envRisk(name: string): string | null {
  if (isReservedVariable(name)) return "Core sets this variable itself: with it approved, every run is refused.";
  if (STEERING_NAME.test(name))
    return "High risk: its value decides which code the agent's programs load, or changes how they work.";
  return SECRET_NAME.test(name) ? "By its name this is a secret; the agent receives its value." : null;
}

function describeTool({ agent, tool }: { agent: string; tool: string }): PermissionDescription {
  if (agent === "*") {
    const what = tool === "*" ? "any tool" : `the tool ${tool}`;
    const risk =
      tool === "*"
        ? "It can do through other agents whatever they are allowed to do."
        : "Any agent, also one installed later, can offer a tool of that name.";
    return { meaning: `Call ${what} of any agent`, risk };
  }
  const meaning = tool === "*" ? `Call every tool of ${agent}` : `Call the tool ${tool} of ${agent}`;
  return { meaning, risk: tool === "*" ? `Tools that ${agent} adds later are included.` : null };
}

function describeCarried({ domain, action, pattern }: Permission): PermissionDescription {
  const what = pattern ?? "(no pattern)";
  if (domain === "database") return { meaning: `Read and write the database scope ${what}`, risk: null };
  return { meaning: `${action === "publish" ? "Publish" : "Subscribe to"} the events ${what}`, risk: null };
}

const WRITTEN_AS: Record<string, string> = {
  "filesystem:read": "an absolute path or one below ~, for example filesystem:read:~/Projects/**",
  "filesystem:write": "an absolute path or one below ~, for example filesystem:write:~/Projects/out/**",
  "network:egress": "a host alone, for example network:egress:api.example.com:443",
  "env:read": "one variable's name, for example env:read:LC_ALL",
  "tool:invoke": "agent and tool, for example tool:invoke:com.example.notes/search",
};

function describeOpaque({ domain, action, pattern }: Permission): PermissionDescription {
  const form = WRITTEN_AS[`${domain}:${action}`];
  const on = pattern === undefined ? "" : ` on ${pattern}`;
  if (form !== undefined) {
    return {
      meaning: `${domain} ${action}${on}: covers nothing as written`,
      risk: `The pattern is not understood, so it grants nothing; write ${form}.`,
    };
  }
  return {
    meaning: `${domain} ${action}${on}`,
    risk: "Core does not know this permission: it is recorded, and nothing holds the agent to it.",
  };
}
