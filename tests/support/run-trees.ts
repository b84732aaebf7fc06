/** Processes of a run as the kernel knows them, the programs that make trouble, and Core's memory. */
import { hash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  hasEnvironmentEntry,
  isAlive,
  listDescendants,
  listProcesses,
  readProcess,
  type ProcessInfo,
} from "../../packages/core/src/host/process-tree.ts";
import { type CoreHome, eventually, type Files } from "./core-home.ts";

/** The files of an agent whose program is one of tests/support/misbehaving. */
export function misbehaving(name: string): Files {
  return program(readFileSync(join(import.meta.dirname, "misbehaving", name), "utf8"));
}

/** The files of an agent whose program is this text. */
export function program(text: string): Files {
  return { "bin/agent": { text, mode: 0o755 } };
}

/** The files of an agent in Python that shakes hands, says "in session", and goes on with that text. */
export function inSession(text: string): Files {
  return program(`#!/usr/bin/env python3
import json, os, socket, struct, sys, time
env = os.environ
core = socket.socket(socket.AF_UNIX)
core.connect(env["OPENSENTIENCE_SOCKET_PATH"])
hello = {"session_token": env["OPENSENTIENCE_SESSION_TOKEN"], "agent_id": env["OPENSENTIENCE_AGENT_ID"],
  "agent_version": "1.0.0", "protocol": {"supported_versions": [1], "capabilities": []}}
body = json.dumps({"v": 1, "type": "agent.hello", "id": "a-1", "ts": "2026-01-01T00:00:00.000Z", "payload": hello}).encode()
core.sendall(struct.pack(">I", len(body)) + body)
assert core.recv(4)
print("in session", flush=True)
${text}`);
}

/** Gives ends-on-word.sh its word, whole from its first moment. */
export function say(home: CoreHome, agentId: string, word: string): void {
  const path = join(home.folder, "agents", agentId, "data/word");
  writeFileSync(`${path}.tmp`, `${word}\n`);
  renameSync(`${path}.tmp`, path);
}

/**
 * Everything that lives of a run: what was started with its id, and, where it has a PID namespace of its own, whatever
 * is below the first process of that. Zombies do not count.
 */
export function membersOf(run: { run_id: string; pid: number }): ProcessInfo[] {
  const all = listProcesses();
  const found = new Map<number, ProcessInfo>();
  const init = readProcess(readProcess(run.pid)?.ppid ?? 0);
  const roots = init?.name === "bwrap" ? [init.pid] : [run.pid];
  for (const root of roots) for (const info of listDescendants(root, all)) found.set(info.pid, info);
  for (const info of all)
    if (hasEnvironmentEntry(info.pid, `OPENSENTIENCE_RUN_ID=${run.run_id}`)) found.set(info.pid, info);
  return [...found.values()].filter((info) => isAlive(info));
}

/** The marker of the builds of an agent: of its home, so that two homes with the same agent do not meet. */
export function buildMarker(home: CoreHome, agentId: string): string {
  return `home-${hash("sha256", home.folder).slice(0, 16)}.build.${agentId}`;
}

/** Living processes that carry the marker of a run or of a build. */
export function marked(marker: string): number[] {
  return listProcesses()
    .filter((info) => isAlive(info) && hasEnvironmentEntry(info.pid, `OPENSENTIENCE_RUN_ID=${marker}`))
    .map((info) => info.pid);
}

/** Those of them that are still alive, each told apart from a stranger with the same number. */
export function stillAlive(processes: readonly ProcessInfo[]): number[] {
  return processes.filter((info) => isAlive(info)).map((info) => info.pid);
}

/** How far the resident memory of a process rises above what it is now; the kernel keeps the peak. */
export function watchMemory(pid: number): { risenBytes: () => number } {
  const status = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) * 1024;
  const before = status("VmRSS");
  // 5 resets the peak (proc(5)).
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
  return { risenBytes: () => status("VmHWM") - before };
}

/** Waits until a process and its descendants have written that many bytes. */
export async function hasWritten(pid: number, bytes: number): Promise<void> {
  await eventually(
    () => bytesWritten(pid) >= bytes,
    () => `${bytes} bytes to be written; it is at ${bytesWritten(pid)}`,
    30_000,
  );
}

/** How much a process has written since it began, to wherever. */
export function bytesWritten(pid: number): number {
  return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "latin1"))?.[1]);
}
