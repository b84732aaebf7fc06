/** What the log says of a build: that it begins, that it ended well, that it failed; with the state in one transaction. */
import { toCoreError, type CoreError } from "@opensentience/protocol";
import { TRUST_BOUNDARY, type Act, type AuditEvent, type AuditLog, type Redactor } from "../audit-log/audit-log.ts";
import type { AgentRecord, Catalog } from "../catalog/catalog.ts";
import type { BuildStep } from "./plan.ts";
import { recordedPlan } from "./plan-record.ts";

type Deps = { audit: AuditLog; catalog: Catalog; redactor: Redactor };

/** Of the hosts, and of the names of files put back, that are recorded. */
const MAX_HOSTS = 50;
const MAX_NAMES = 20;

export function recordBuilt(
  { audit, catalog, redactor }: Deps,
  agent: AgentRecord,
  steps: BuildStep[],
  hosts: Set<string>,
  builtTreeHash: string | undefined,
  act: Act,
  startedMs: number,
): void {
  audit.transact((tx, record) => {
    catalog.recordBuild(tx, agent.agentId, {
      status: "built",
      commit: agent.commit,
      ...(builtTreeHash === undefined ? {} : { builtTreeHash }),
    });
    record({
      type: "agent.built",
      act,
      subject: { type: "agent", id: agent.agentId },
      metadata: {
        commit: agent.commit,
        ...recordedPlan(steps, redactor),
        hosts: reached(hosts),
        duration_ms: Math.round(performance.now() - startedMs),
        built_tree_hash: builtTreeHash,
        trust_boundary: TRUST_BOUNDARY,
      },
    });
  });
}

export function recordStart(
  { audit, catalog, redactor }: Deps,
  agent: AgentRecord,
  steps: BuildStep[],
  putBack: string[],
  act: Act,
): string {
  return audit.transact((tx, record) => {
    catalog.recordBuild(tx, agent.agentId, { status: "building", commit: null });
    return record({
      type: "agent.build_started",
      act,
      subject: { type: "agent", id: agent.agentId },
      outcome: "unknown",
      metadata: {
        commit: agent.commit,
        ...recordedPlan(steps, redactor),
        put_back: putBack.length === 0 ? undefined : putBack.slice(0, MAX_NAMES),
        trust_boundary: TRUST_BOUNDARY,
      },
    });
  });
}

/** `recordedAs`: where nobody canceled anything, the record does not say so. */
export function recordFailure(
  { audit, catalog }: Deps,
  agent: AgentRecord,
  error: unknown,
  hosts: Set<string>,
  act: Act,
  durationMs: number,
  recordedAs?: "core_lost",
): void {
  const known = toCoreError(error);
  audit.transact((tx, record) => {
    catalog.recordBuild(tx, agent.agentId, { status: "failed", commit: null, lastError: known.message });
    record(
      buildFailed(agent, known, act, {
        ...(recordedAs === undefined ? {} : { code: recordedAs }),
        step: known.details["step"],
        exit_code: known.details["exit_code"],
        hosts: reached(hosts),
        duration_ms: Math.round(durationMs),
      }),
    );
  });
}

/** A build that put files back and went no further: what somebody had changed is on record all the same. */
export function recordPutBack(
  { audit }: Deps,
  agent: AgentRecord,
  putBack: string[],
  refused: CoreError,
  act: Act,
): void {
  audit.record(buildFailed(agent, refused, act, { put_back: putBack.slice(0, MAX_NAMES) }));
}

function buildFailed(
  agent: AgentRecord,
  { code, message }: CoreError,
  act: Act,
  more: Record<string, unknown>,
): AuditEvent {
  return {
    type: "agent.build_failed",
    act,
    subject: { type: "agent", id: agent.agentId },
    outcome: "failed",
    metadata: { commit: agent.commit, code, message, trust_boundary: TRUST_BOUNDARY, ...more },
  };
}

/** What the fetch phase connected to. */
function reached(hosts: Set<string>): string[] | undefined {
  return hosts.size === 0 ? undefined : [...hosts].slice(0, MAX_HOSTS);
}
