/** What the log says of a request to install, besides the swap: that it came, that nothing had to move, that it failed. */
import { CoreError } from "@opensentience/protocol";
import type { Act, AuditLog } from "../audit-log/audit-log.ts";
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

export function recordFailure(
  audit: AuditLog,
  { url, ref }: Request,
  error: unknown,
  act: Act,
  agentId: string | undefined,
): void {
  const known = error instanceof CoreError ? error : undefined;
  audit.record({
    type: "agent.install_failed",
    act,
    subject: { type: "agent", id: agentId ?? "unknown" },
    outcome: known?.kind === "denied" ? "denied" : "failed",
    metadata: {
      git_url: url.text,
      ref,
      code: known?.code ?? "core.internal",
      // The message of a failed fetch quotes what the other side printed; the audit log keeps no such text.
      message: known?.code === "install.clone_failed" ? undefined : known?.message,
    },
  });
}
