/**
 * Starts Core in the background and returns once it answers.
 *
 * Any number of commands may do this at once. Each starts a Core of its own; the lock of the home lets one of them
 * live, the others say so on fd 3 and leave, and their commands wait for the socket of the one that won. A Core that
 * holds the lock without ever answering (it is just stopping) is tried again until the deadline.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { CoreError } from "@opensentience/protocol";
import { spawnDetached } from "../host/child-process.ts";
import { inheritedEnvironment } from "../host/config.ts";
import type { Paths } from "../host/paths.ts";
import { ensureHome, ensurePrivateFolder } from "../host/private-file.ts";
import { Interrupted } from "./interrupted.ts";
import { toError } from "./problem.ts";

const READY_MS = 60_000;
const HELD_MS = 15_000;
/** A held lock without an answer for this long: its holder may be leaving, so try to become Core again. */
const RETRY_MS = 4_000;
const POLL_MS = 40;
const MAX_REPORT_CHARACTERS = 64 * 1024;

export type StartOptions = {
  paths: Paths;
  /** The file that a background Core is started from. */
  binary: string;
  /** `KEY=VALUE` overrides of settings. */
  settings: readonly string[];
  signal: AbortSignal;
  isAnswering: () => Promise<boolean>;
};

/** Fails with `core.start_failed`, `core.unreachable` (held, but nobody answers), or the error Core itself reported. */
export async function startCore(options: StartOptions): Promise<void> {
  const deadline = performance.now() + HELD_MS;
  do {
    if ((await startOnce(options)) === "ready") return;
    const retryAt = Math.min(deadline, performance.now() + RETRY_MS);
    while (performance.now() < retryAt) {
      if (await options.isAnswering()) return;
      await pause(options.signal);
    }
  } while (performance.now() < deadline);
  throw new CoreError("core.unreachable", "another Core holds this home but does not answer", {
    nextStep: "opensentience core status",
  });
}

async function startOnce(options: StartOptions): Promise<"ready" | "held"> {
  const { paths, binary, settings, signal } = options;
  const log = await openLog(paths);
  try {
    const argv = [
      process.execPath,
      binary,
      "serve",
      "--background",
      "--home",
      paths.home,
      ...settings.flatMap((setting) => ["--set", setting]),
    ];
    const { ready } = await spawnDetached(argv, { env: inheritedEnvironment(), cwd: paths.home, logFd: log.fd });
    return readReport(await firstLine(ready, signal), paths);
  } finally {
    await log.close();
  }
}

/** What Core says on fd 3; an empty line means that it ended without a word. */
export function readReport(line: string, paths: Pick<Paths, "coreLog">): "ready" | "held" {
  let report: { ready?: unknown; held?: unknown; error?: unknown } = {};
  try {
    report = (JSON.parse(line) as typeof report | null) ?? report;
  } catch {
    // Something else than a report: judged below like none at all.
  }
  if (report.ready === true) return "ready";
  if (report.held === true) return "held";
  if (report.error !== undefined) throw toError(report.error);
  throw new CoreError("core.start_failed", `Core ended before it was ready; its log is ${paths.coreLog}`, {
    details: { log_path: paths.coreLog },
    nextStep: "opensentience serve",
  });
}

async function firstLine(ready: Readable, signal: AbortSignal): Promise<string> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_MS)]);
  const stop = (): void => void ready.destroy(new Error("nobody waits any longer"));
  if (limit.aborted) stop();
  else limit.addEventListener("abort", stop, { once: true });
  let text = "";
  try {
    ready.setEncoding("utf8");
    for await (const chunk of ready as AsyncIterable<string>) {
      text += chunk;
      if (text.includes("\n") || text.length > MAX_REPORT_CHARACTERS) break;
    }
  } catch (cause) {
    if (signal.aborted) throw new Interrupted();
    if (limit.aborted)
      throw new CoreError("core.start_failed", "Core did not become ready in time", {
        cause,
        nextStep: "opensentience core status",
      });
    // A reset by a Core that died reads like an end.
  } finally {
    limit.removeEventListener("abort", stop);
    ready.destroy();
  }
  return text.split("\n")[0] ?? "";
}

async function openLog(paths: Paths): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    await ensureHome(paths.home);
    await ensurePrivateFolder(paths.logsFolder);
    const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
    // A FIFO in its place fails with ENXIO instead of waiting for a reader.
    return await open(paths.coreLog, O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_WRONLY, 0o600);
  } catch (cause) {
    if (cause instanceof CoreError) throw cause;
    throw new CoreError("core.start_failed", `Core cannot write below ${paths.home}`, {
      cause,
      nextStep: `ls -ld ${paths.home}`,
    });
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await delay(POLL_MS, undefined, { signal }).catch(() => {
    throw new Interrupted();
  });
}
