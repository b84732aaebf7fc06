/** Removing what is left of an agent that is not installed: the data that was kept, then its place in the catalog. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import { unrecorded, type Act, type AuditLog } from "../audit-log/audit-log.ts";
import { reinstallCommand, type AgentRecord, type Catalog } from "../catalog/catalog.ts";
import { ensurePrivateFolder } from "../host/private-file.ts";
import { moveEntry, removeTrash } from "../host/trash.ts";
import { isWithin } from "../host/paths.ts";
import { failureOf } from "./request-record.ts";

type Deps = {
  audit: AuditLog;
  catalog: Catalog;
  settings: { scanRoots: readonly string[] };
  folders: { staging: string; agent: (agentId: string) => { root: string } };
  onFault: (what: string, error: unknown) => void;
};

export const DATA_INTENT = "data intent";

/**
 * Kept data first; without any, an agent that no scan finds is forgotten, with its runs and approvals (the audit log
 * keeps what happened, and its logs stay). Throws `install.not_installed` for one that a scan would only find again.
 */
export async function removeLeftovers(
  deps: Deps,
  agent: AgentRecord,
  options: { keepData: boolean },
  act: Act,
): Promise<"data" | "entry"> {
  const { root } = deps.folders.agent(agent.agentId);
  const hasData = existsSync(root);
  if (hasData && !options.keepData) {
    await removeData(deps, agent.agentId, root, act);
    return "data";
  }
  const found = await foundAgainIn(agent, deps.settings.scanRoots);
  if (found !== undefined || hasData) {
    const why = found === undefined ? "only its data is there" : `a scan finds it in ${found}`;
    throw new CoreError("install.not_installed", `${agent.agentId} is not installed; ${why}`, {
      nextStep: found === undefined ? `opensentience agents remove ${agent.agentId}` : reinstallCommand(agent),
    });
  }
  deps.audit.transact((tx, record) => {
    deps.catalog.forget(tx, agent.agentId);
    record({
      type: "agent.removed",
      act,
      subject: { type: "agent", id: agent.agentId },
      metadata: { path: agent.manifestPath, phase: "forgotten" },
    });
  });
  return "entry";
}

/** The manifest that the next scan of the roots reads, if there is one: a folder outside of them comes back only by its name. */
async function foundAgainIn(agent: AgentRecord, scanRoots: readonly string[]): Promise<string | undefined> {
  const { manifestPath: path, missingSince } = agent;
  // A scan has looked there and did not see it: it lies too deep, or in a folder that is not entered.
  if (path === null || missingSince !== null || !existsSync(path)) return undefined;
  const folder = dirname(path);
  // What a scan finds below a root that is a link has the path that the link leads to.
  const real = await Promise.all(scanRoots.map((root) => realpath(root).catch(() => root)));
  return real.some((root) => isWithin(folder, root)) ? path : undefined;
}

async function removeData(deps: Deps, agentId: string, root: string, act: Act): Promise<void> {
  const { audit, catalog, folders, onFault } = deps;
  const staged = join(folders.staging, randomBytes(8).toString("hex"));
  await ensurePrivateFolder(folders.staging);
  await ensurePrivateFolder(staged);
  const subject = { type: "agent", id: agentId } as const;
  const intent = { path: root, phase: DATA_INTENT };
  const causationId = audit.record({ type: "agent.removed", act, subject, outcome: "unknown", metadata: intent });
  const ownAct = { ...act, causationId };
  try {
    await moveEntry(root, join(staged, "agent"));
  } catch (error) {
    const metadata = { path: root, phase: "not carried out" };
    const failed = { type: "agent.removed", act: ownAct, subject, outcome: "failed", metadata } as const;
    const failure = failureOf(error);
    const what = `that the data of ${agentId} was not removed`;
    throw catalog.recordFailed(agentId, what, failure, () => void audit.record(failed));
  }
  const metadata = { path: root, kept_data: false, phase: "data removed" };
  const isOnRecord = catalog.recordOutcome(
    agentId,
    `the removal of the data of ${agentId}`,
    () => void audit.record({ type: "agent.removed", act: ownAct, subject, metadata }),
  );
  await removeTrash(staged).catch((error: unknown) => onFault("removed data could not be deleted", error));
  if (!isOnRecord) throw removedUnrecorded(agentId);
}

export function removedUnrecorded(agentId: string): CoreError {
  const message = `the files of ${agentId} are removed, which is not on record yet: it is shown as it was until the audit log can be written`;
  return unrecorded(message, { details: { agent_id: agentId } });
}
