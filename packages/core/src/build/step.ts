/** One step of a build: a boxed process tree with its log, its deadline and its way of failing. */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import type { Server } from "node:net";
import { CoreError } from "@opensentience/protocol";
import type { Act, Redactor } from "../audit-log/audit-log.ts";
import type { SandboxMode } from "../host/config.ts";
import { killPoint } from "../host/kill-point.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";
import { captureLogs, type CaptureLimits } from "../logs/logs.ts";
import {
  buildPolicy,
  checkProgram,
  proxyVariables,
  startBoxed,
  type BoxPolicy,
  type ProcessEnd,
  type SandboxProbe,
  type Unconfined,
} from "../sandbox/sandbox.ts";
import type { BuildStep } from "./plan.ts";

/** Programs the detected plans use, and the Debian package that brings each. */
const PACKAGES: Record<string, string> = {
  mix: "elixir",
  npm: "npm",
  node: "nodejs",
  python3: "python3 python3-venv",
  uv: "uv",
};

/** What npm, mix and pip print where a proxy, its certificate or a name is in the way. */
const UNREACHED =
  /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT|CERTIFICATE_VERIFY_FAILED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|[Uu]nknown CA|proxy/;

export type StepOptions = {
  agentId: string;
  /** How the markers of all work of this home begin. */
  workMark: string;
  cwd: string;
  env: Record<string, string>;
  toolPath: string;
  probe: SandboxProbe;
  sandboxMode: SandboxMode;
  /** Values of variables the operator passes on: where one is the path of a file, the step can read it. */
  passedFiles: readonly string[];
  egress: BuildEgress;
  /** What may be reached besides public hosts: patterns with a port. */
  hosts: readonly string[];
  /** Of the build: what the proxy refuses is recorded after it. */
  act: Act;
  /** `host:port` of what the step connected to. */
  onReached: (host: string) => void;
  pipeFolder: string;
  logPath: string;
  logLimits: CaptureLimits;
  redactor: Redactor;
  /** Monotonic ms at which the whole build must be over. */
  deadlineMs: number;
  signal?: AbortSignal | undefined;
  onLine: (line: string) => void;
};

/** Core's proxy. */
export type BuildEgress = {
  open: (
    use: { runId: string; agentId: string; patterns: readonly string[]; act: Act; reservedToo: boolean },
    listener: Server,
  ) => Promise<void>;
  /** Says what became of it. */
  close: (
    runId: string,
  ) => { hosts: readonly string[]; lastError: { code: string; host?: string; port?: number } | undefined } | undefined;
};

/** Grace for a build that is canceled or too slow, in ms. */
const GRACE_MS = 2_000;

export async function runStep(step: BuildStep, options: StepOptions): Promise<void> {
  const program = await resolveProgram(step, options);
  const policy = policyOf(step, program, options);
  const wayOut = wayOutOf(step, options);
  let refused: Refusal;
  await ensurePrivateFolder(options.pipeFolder);
  try {
    const box = await startBoxed({
      probe: options.probe,
      argv: [program, ...step.argv.slice(1)],
      cwd: options.cwd,
      env: { ...options.env, ...wayOut?.variables },
      pipeFolder: options.pipeFolder,
      marker: `${options.workMark}build.${options.agentId}`,
      policy,
      ...(wayOut === undefined ? {} : { wayOut: wayOut.open }),
    });
    killPoint("build.step_spawned");
    const capture = captureLogs({
      stdout: box.stdout,
      stderr: box.stderr,
      path: options.logPath,
      limits: options.logLimits,
      redactor: options.redactor,
      onLine: ({ stream, line }) => (stream === "core" ? undefined : options.onLine(line)),
    });
    capture.note(`${step.phase}: $ ${step.argv.join(" ")}`);
    let isLate = false;
    const stop = (): void => void box.stop(GRACE_MS);
    const timer = setTimeout(
      () => {
        isLate = true;
        stop();
      },
      Math.max(0, options.deadlineMs - performance.now()),
    );
    options.signal?.addEventListener("abort", stop, { once: true });
    if (options.signal?.aborted === true) stop();
    box.release();
    killPoint("build.go_sent");
    const end = await box.ended;
    killPoint("build.step_ended");
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", stop);
    refused = wayOut?.close();
    await capture.drainAndClose(1_000);
    judge(step, end, {
      refused,
      isLate,
      isCanceled: options.signal?.aborted === true,
      lastLines: capture.lastLines,
      logPath: options.logPath,
      agentId: options.agentId,
      home: options.env["HOME"] ?? "",
    });
  } finally {
    wayOut?.close();
    await rm(options.pipeFolder, { recursive: true, force: true });
    killPoint("build.socket_folder_removed");
  }
}

type Refusal = { code: string; host?: string; port?: number } | undefined;

/**
 * The way out of a fetch phase. SECURITY: the build is code that nobody approved yet, and this machine and its networks
 * trust who comes from here; pinned by "a hostile fetch phase reaches nothing of this machine or its networks".
 */
function wayOutOf(
  step: BuildStep,
  { agentId, hosts, act, egress, onReached }: StepOptions,
): { open: (listener: Server) => Promise<void>; close: () => Refusal; variables: Record<string, string> } | undefined {
  if (step.reach !== "public_hosts") return undefined;
  const runId = `build-${randomBytes(8).toString("hex")}`;
  const patterns = ["*", ...hosts];
  return {
    open: (listener) => egress.open({ runId, agentId, patterns, act, reservedToo: true }, listener),
    close: () => {
      const done = egress.close(runId);
      for (const host of done?.hosts ?? []) onReached(host);
      return done?.lastError;
    },
    variables: proxyVariables(patterns),
  };
}

/**
 * The same box as a run's, with a network or a way out in the fetch phase alone. Throws `sandbox.required`.
 * SECURITY: a build is third-party code before anything was approved, so no approval can let it go without a sandbox;
 * pinned by "where no sandbox can be made nothing is built".
 */
function policyOf(step: BuildStep, program: string, options: StepOptions): BoxPolicy | Unconfined {
  const { probe, sandboxMode, cwd, env, toolPath, passedFiles } = options;
  if (sandboxMode === "off") return { confined: false, network: step.network };
  if (probe.features === undefined)
    throw new CoreError("sandbox.required", `there is no sandbox here: ${probe.reason ?? "it cannot be made"}`, {
      details: { reason: probe.reason },
      nextStep: "opensentience doctor",
    });
  return buildPolicy({
    source: cwd,
    home: env["HOME"] ?? "",
    toolPath,
    program,
    reach: step.reach,
    files: passedFiles,
  });
}

function judge(
  step: BuildStep,
  end: ProcessEnd,
  seen: {
    refused: Refusal;
    isLate: boolean;
    isCanceled: boolean;
    lastLines: string[];
    logPath: string;
    agentId: string;
    home: string;
  },
): void {
  const shown = step.argv.join(" ").slice(0, 200);
  if (seen.isCanceled)
    throw new CoreError("build.canceled", "the build was canceled", {
      nextStep: `opensentience agents build ${seen.agentId}`,
    });
  if (seen.isLate)
    throw new CoreError("build.timeout", `"${shown}" was ended: the build took longer than build.timeout_ms`, {
      details: { step: shown },
      nextStep: "opensentience core status",
    });
  if (end.exitCode === 0) return;
  // Hex, the package manager of mix, is an archive of its own that a fresh HOME does not have.
  if (step.argv[0] === "mix" && seen.lastLines.some((line) => /Could not find Hex|mix local\.hex/.test(line))) {
    throw new CoreError("build.tool_missing", "the build needs Hex, which is not installed for this agent", {
      details: { program: "hex", step: shown },
      nextStep: `HOME=${seen.home} MIX_ENV=prod mix local.hex --force`,
    });
  }
  const { refused } = seen;
  const where = refused?.host === undefined ? undefined : `${refused.host}:${refused.port}`;
  const because = where === undefined ? "" : `; Core did not connect it to ${where} (${refused?.code})`;
  throw new CoreError("build.failed", `"${shown}" ended with ${end.signal ?? `code ${end.exitCode}`}${because}`, {
    details: {
      ...(where === undefined ? {} : { refused: where }),
      step: shown,
      exit_code: end.exitCode,
      signal: end.signal,
      last_lines: seen.lastLines,
      log_path: seen.logPath,
    },
    nextStep:
      refused?.code === "egress.private_address"
        ? `add "${where}" to build.hosts in config.toml, if builds may reach it`
        : seen.lastLines.some((line) => UNREACHED.test(line))
          ? "opensentience explain build.failed"
          : `opensentience agents logs ${seen.agentId} --build`,
  });
}

async function resolveProgram(step: BuildStep, options: StepOptions): Promise<string> {
  const name = step.argv[0] ?? "";
  try {
    return await checkProgram(name, options.cwd, options.toolPath);
  } catch (error) {
    if (!(error instanceof CoreError) || name.includes("/")) throw error;
    const debian = PACKAGES[name];
    throw new CoreError("build.tool_missing", `${name} is not on tools.path (${options.toolPath})`, {
      details: { program: name },
      nextStep:
        debian === undefined ? `install ${name}, or set tools.path in config.toml` : `sudo apt-get install ${debian}`,
      cause: error,
    });
  }
}
