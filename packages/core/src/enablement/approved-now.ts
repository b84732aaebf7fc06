/**
 * What is approved at this moment, for whoever asks at every tool call. SECURITY: what is remembered must never outlive the
 * row, so every change of an approval comes by here. Pinned by "narrowing an approval ends the calls it allowed".
 */
import { CoreError } from "@opensentience/protocol";
import type { Storage } from "../storage/storage.ts";
import * as store from "./store.ts";

type Approved = { permissions: readonly string[]; expiresAt: string | null };

export class ApprovedNow {
  readonly #storage: Storage;
  readonly #known = new Map<string, Approved>();
  readonly #listeners = new Set<() => void>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Throws `enablement.not_enabled` and `enablement.expired`. */
  permissionsOf(agentId: string): readonly string[] {
    const approved = this.#known.get(agentId) ?? this.#read(agentId);
    if (approved.expiresAt === null || approved.expiresAt > new Date().toISOString()) return approved.permissions;
    throw new CoreError("enablement.expired", `the approval of ${agentId} has expired`, {
      nextStep: `opensentience agents enable ${agentId}`,
    });
  }

  onChanged(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** After the change is committed. */
  changed(agentId: string): void {
    this.#known.delete(agentId);
    for (const listener of this.#listeners) listener();
  }

  #read(agentId: string): Approved {
    const approval = store.activeApproval(this.#storage, agentId);
    if (approval === undefined) throw notEnabled(agentId, "enable");
    const permissions = JSON.parse(approval.approved_permissions_json) as string[];
    const approved = { permissions, expiresAt: approval.expires_at };
    this.#known.set(agentId, approved);
    return approved;
  }
}

export function notEnabled(agentId: string, nextVerb: "enable" | "info"): CoreError {
  return new CoreError("enablement.not_enabled", `${agentId} has no active approval`, {
    nextStep: `opensentience agents ${nextVerb} ${agentId}`,
  });
}
