/** What the log says of a request to install, besides the swap: that it came, that nothing had to move, that it failed. */
import { CoreError, toCoreError } from "@opensentience/protocol";
import { type Act, type AuditEvent, type AuditLog } from "../audit-log/audit-log.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { SandboxMode } from "../host/config.ts";
import type { SandboxProbe } from "../sandbox/sandbox.ts";
import { gitIsolation } from "./git-sandbox.ts";
import type { GitUrl, ResolvedRef } from "./git.ts";

type Request = { url: GitUrl; ref: string | undefined; expectedId: string | undefined };

/** Before git is spawned, so that a Core that is lost meanwhile leaves a trace. Returns the id of the event. */
export function recordRequest(
  { audit, probe, settings }: { audit: AuditLog; probe: SandboxProbe; settings: { sandboxMode: SandboxMode } },
  { url, ref, expectedId }: Request,
  act: Act,
): string {
  const isolation = gitIsolation(probe, settings.sandboxMode);
  return audit.record({
    type: "agent.installed",
    act,
    subject: { type: "agent", id: expectedId ?? "unknown" },
    outcome: "unknown",
    metadata: { git_url: url.text, ref, isolation, phase: "requested" },
  });
}

/** The ref that was named is followed from now on, also when it means the same commit today. */
export function recordUnmoved(
  { audit, catalog }: { audit: AuditLog; catalog: Catalog },
  { url, expectedId = "" }: Request,
  { commit, ref }: ResolvedRef,
  act: Act,
): void {
  audit.transact((tx, record) => {
    catalog.recordRef(tx, expectedId, ref);
    record({
      type: "agent.installed",
      act,
      subject: { type: "agent", id: expectedId },
      metadata: { git_url: url.text, ref, commit, phase: "not moved" },
    });
  });
}

/** Records it now or as soon as it can be, and answers what to tell. `agentId`: held by the caller. */
export function recordFailure(
  { audit, catalog }: { audit: AuditLog; catalog: Catalog },
  { url, ref }: Request,
  error: unknown,
  act: Act,
  agentId: string | undefined,
): unknown {
  const { code, kind, message } = toCoreError(error);
  const event: AuditEvent = {
    type: "agent.install_failed",
    act,
    subject: { type: "agent", id: agentId ?? "unknown" },
    outcome: kind === "denied" ? "denied" : "failed",
    metadata: {
      git_url: url.text,
      ref,
      code,
      // The message of a failed fetch quotes what the other side printed; the audit log keeps no such text.
      message: code === "install.clone_failed" || code === "core.internal" ? undefined : message,
    },
  };
  const what = `the failed install of ${agentId ?? url.text}`;
  return catalog.recordFailed(agentId ?? url.text, what, error, () => void audit.record(event));
}

/** What an act ended by that was begun and undone, in words that are true of it. */
export function failureOf(error: unknown, signal?: AbortSignal): unknown {
  if (error instanceof CoreError) {
    if (error.code !== "audit.unavailable") return error;
    const undone = "the audit log cannot be written, so what was begun was undone: the agent is as it was before";
    return new CoreError(error.code, undone, { nextStep: "opensentience audit verify", cause: error });
  }
  if (signal?.aborted === true)
    return new CoreError("install.canceled", "the install was canceled; nothing was changed", {
      nextStep: "opensentience agents list",
    });
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === undefined) return error;
  return new CoreError("install.io_failed", `the agent's files could not be read or written (${code})`, {
    details: { code },
    nextStep: "opensentience core status",
    cause: error,
  });
}
