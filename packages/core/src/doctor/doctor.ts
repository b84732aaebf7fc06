/**
 * The doctor: looks at this machine and this home, and says for each finding what mends it. It changes nothing.
 *
 * `fail` is something that makes an act fail or a promise not hold; `warn` is something that only some agents need or
 * that will become a problem. It works without a database too: then that is the first finding.
 */
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { CoreError, type DoctorJson } from "@opensentience/protocol";
import type { AuditLog } from "../audit-log/audit-log.ts";
import { findProgram } from "../host/child-process.ts";
import { configFileFault, type SandboxMode } from "../host/config.ts";
import { freeSpace, FULL_SPACE } from "../host/full-disk.ts";
import { NO_GROUPS, rlimitHoldsProcesses, type SandboxProbe } from "../sandbox/sandbox.ts";

export type HealthInput = {
  toolPath: string;
  probe: SandboxProbe;
  sandboxMode: SandboxMode;
  degraded: CoreError | null;
  socketFallback: boolean;
  home: string;
  /** Where the web page listens; null where it is switched off. */
  page: { url: string; address: string } | null;
  /** config.toml, which may have changed since Core read it. */
  configFile: string;
  /** Names of `build.pass_env` that Core was started without. */
  unsetForBuilds: readonly string[];
  /** Files and folders that nobody else may read. */
  privatePaths: string[];
};

type Check = DoctorJson["checks"][number];

/** Below this much free space a warning is due, in bytes. */
const LOW_SPACE = 500 * 1024 * 1024;
const INSTALL_BWRAP = "sudo apt-get install bubblewrap";
const TOOLS = [
  { name: "git", status: "fail", need: "installing agents", fix: "sudo apt-get install git" },
  { name: "npm", status: "warn", need: "building Node agents", fix: "sudo apt-get install npm" },
  { name: "mix", status: "warn", need: "building and running Elixir agents", fix: "sudo apt-get install elixir" },
  {
    name: "python3",
    status: "warn",
    need: "building and running Python agents",
    fix: "sudo apt-get install python3 python3-venv",
  },
] as const;

export async function checkHealth(input: HealthInput, audit: AuditLog | null): Promise<DoctorJson> {
  const checks = [
    ...(await checkPrograms(input.toolPath)),
    checkUser(process.geteuid?.()),
    checkSandbox(input),
    checkLimits(input),
    await checkConfig(input.configFile),
    checkPassed(input.unsetForBuilds),
    checkDatabase(input.degraded),
    await checkAudit(audit),
    ...checkPrivacy(input.privatePaths),
    input.socketFallback
      ? finding(
          "warn",
          "socket",
          "the home is too deep for a socket path, so the socket stands elsewhere",
          "opensentience core status",
        )
      : good("socket", "the control socket is in the home"),
    checkPage(input.page),
    checkSpace(input.home),
  ];
  return { ok: checks.every((check) => check.status !== "fail"), checks };
}

/** What can be said of a machine whose Core does not answer, by whoever asked. */
export async function checkWithoutCore(
  input: Pick<HealthInput, "toolPath" | "configFile" | "home">,
): Promise<DoctorJson["checks"]> {
  const bwrap = await findProgram("bwrap", input.toolPath);
  return [
    ...(await checkPrograms(input.toolPath)),
    checkUser(process.geteuid?.()),
    bwrap === undefined
      ? finding("fail", "bubblewrap", "bwrap is not on tools.path; without it there is no sandbox", INSTALL_BWRAP)
      : good("bubblewrap", `${bwrap}; a Core that starts tries what it can do`),
    await checkConfig(input.configFile),
    checkSpace(existsSync(input.home) ? input.home : dirname(input.home)),
  ];
}

async function checkPrograms(toolPath: string): Promise<Check[]> {
  return [
    good("node", `Node.js ${process.version}`),
    ...(await Promise.all(TOOLS.map((tool) => checkTool(tool, toolPath)))),
  ];
}

/** SECURITY: what gets out of a sandbox has the rights of Core's user. Pinned by "warns of a Core that runs as root". */
export function checkUser(uid: number | undefined): Check {
  return uid === 0
    ? finding(
        "warn",
        "user",
        "Core runs as root: an agent or a build that gets out of its sandbox has the whole machine",
        "run Core as a user of its own, without sudo",
      )
    : good("user", `user id ${uid ?? "unknown"}, which is not root`);
}

async function checkTool(tool: (typeof TOOLS)[number], toolPath: string): Promise<Check> {
  const path = await findProgram(tool.name, toolPath);
  return path === undefined
    ? finding(tool.status, tool.name, `${tool.name} is not on tools.path; it is needed for ${tool.need}`, tool.fix)
    : good(tool.name, path);
}

/** A trial run says whether there is a sandbox; which setting of the kernel keeps it away is read where it stands. */
function checkSandbox({ probe, sandboxMode }: HealthInput): Check {
  if (sandboxMode === "off")
    return finding(
      "warn",
      "bubblewrap",
      "the sandbox is switched off by sandbox.mode: no permission of files or network is held",
      "opensentience core restart --set sandbox.mode=required",
    );
  if (probe.features !== undefined)
    return good(
      "bubblewrap",
      `version ${probe.version ?? "unknown"}; each run and each build has a sandbox of its own`,
    );
  const outlives = probe.backend === "bubblewrap" ? "" : "; a program that detaches itself can outlive its run";
  return finding(
    "fail",
    "bubblewrap",
    `${probe.reason ?? "not available"}; without a sandbox nothing is built and no agent runs${outlives}`,
    probe.bwrapPath === undefined ? INSTALL_BWRAP : namespaceSetting(),
  );
}

/** No fault: a machine without them is as its owner set it up. */
function checkLimits({ probe: { groups = NO_GROUPS, features } }: HealthInput): Check {
  const names = { memory: "memory", pids: "processes", cpu: "processor time" };
  const each = Object.entries(names).map(([controller, name]) => {
    const parent = groups[controller as keyof typeof names];
    if ("folder" in parent) return `${name}: held by the kernel`;
    if (controller === "memory") return `${name}: Core looks, and ends a run over it (${parent.reason})`;
    const isHeld = controller === "pids" && features !== undefined && rlimitHoldsProcesses();
    return isHeld ? `${name}: held by the kernel` : `${name}: only recorded (${parent.reason})`;
  });
  return good("limits", `of a run: ${each.join("; ")}`);
}

function namespaceSetting(): string {
  const name = "kernel.apparmor_restrict_unprivileged_userns";
  const isRestricted = readSysctl(name) === "1";
  return isRestricted ? `sudo sysctl ${name}=0` : "sudo sysctl kernel.unprivileged_userns_clone=1";
}

function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** A Core that runs read the file at its start; what is wrong with it now would keep the next one from starting. */
async function checkConfig(path: string): Promise<Check> {
  const fault = await configFileFault(path);
  return fault === null
    ? good("config", "config.toml can be read at the next start")
    : finding(
        "fail",
        "config",
        `Core would not start again: ${fault.message} (${fault.code})`,
        fault.nextStep ?? `ls -l ${path}`,
      );
}

/** Nothing fails for it by itself: a build that needs the variable does, and does not say why. */
function checkPassed(unset: readonly string[]): Check {
  return unset.length === 0
    ? good("build", "every variable of build.pass_env is set")
    : finding(
        "warn",
        "build",
        `builds do not get ${unset.join(", ")} of build.pass_env: not set where Core was started`,
        `export ${unset[0] ?? ""}, then restart Core from that shell: opensentience core restart`,
      );
}

function checkDatabase(degraded: CoreError | null): Check {
  return degraded === null
    ? good("database", "open and migrated")
    : finding(
        "fail",
        "database",
        `${degraded.code}: ${degraded.message}`,
        degraded.nextStep ?? "opensentience core status",
      );
}

async function checkAudit(audit: AuditLog | null): Promise<Check> {
  if (audit === null)
    return finding("fail", "audit", "the audit log cannot be read without the database", "opensentience core status");
  const verdict = await audit.verify().catch((error: unknown) => {
    if (error instanceof CoreError && error.code === "audit.unavailable") return error;
    throw error;
  });
  if (verdict instanceof CoreError) return finding("fail", "audit", verdict.message, "opensentience audit verify");
  return verdict.status === "intact"
    ? good("audit", verdict.message)
    : finding("fail", "audit", `${verdict.status}: ${verdict.message}`, "opensentience audit verify");
}

function checkPrivacy(paths: string[]): Check[] {
  const open = paths.filter((path) => existsSync(path) && (lstatSync(path).mode & 0o077) !== 0);
  if (open.length === 0) return [good("permissions", "nobody else can read Core's files")];
  return open.map((path) => finding("fail", "permissions", `others can get at ${path}`, `chmod go-rwx ${path}`));
}

/** A port that is taken keeps Core from starting, so there is no Core to find that. */
function checkPage(page: HealthInput["page"]): Check {
  if (page === null) return good("page", "the web page is switched off by web.enabled");
  return page.address.startsWith("127.") || page.address === "::1"
    ? good("page", `the web page is at ${page.url}, for this machine alone`)
    : finding(
        "warn",
        "page",
        `the web page listens on ${page.address}: other machines can reach its door`,
        "opensentience core restart --set web.unsafe_bind=127.0.0.1",
      );
}

function checkSpace(home: string): Check {
  const free = freeSpace(home);
  // What is left is no room for a page of the database: every act that has to be recorded is refused.
  if (free < FULL_SPACE)
    return finding(
      "fail",
      "disk",
      `no space left in ${home}: nothing can be recorded, so nothing is done`,
      `df -h ${home}`,
    );
  const text = `${Math.round(free / (1024 * 1024))} MiB free`;
  return free < LOW_SPACE
    ? finding("warn", "disk", `only ${text} where the home is`, `du -sh ${home}`)
    : good("disk", text);
}

function good(name: string, message: string): Check {
  return { name, status: "ok", message, next_step: null };
}

function finding(status: "warn" | "fail", name: string, message: string, nextStep: string): Check {
  return { name, status, message, next_step: nextStep };
}
