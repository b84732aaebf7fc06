/** What an agent says about calls that are not under way with it, told apart, so that each kind can be recorded once. */

/** Calls whose end is remembered, the newest ones. */
const MAX_KEPT = 1_000;

export type StrayAnswer =
  /** A piece or a result of a call that another agent works on, or worked on. */
  | "foreign_call"
  /** Of a call that it was never given, or that is long over. */
  | "unknown_call"
  /** A piece or a result behind the call's result. */
  | "second_result"
  /** A result behind the end that Core gave the call: a deadline, a cancel, a revocation. */
  | "late_result"
  /** A piece whose number came already. */
  | "repeated_piece";

type Ended = { agentId: string; isAnswered: boolean };

export class EndedCalls {
  readonly #ended = new Map<string, Ended>();
  /** Their ids, as a ring: to ask a map for its oldest key takes longer the more were deleted from it. */
  readonly #ids: string[] = [];
  #next = 0;

  /** `isAnswered`: its agent's result ended it, not Core. */
  add(callId: string, ended: Ended): void {
    this.#ended.set(callId, ended);
    const oldest = this.#ids[this.#next];
    if (oldest !== undefined) this.#ended.delete(oldest);
    this.#ids[this.#next] = callId;
    this.#next = (this.#next + 1) % MAX_KEPT;
  }

  /** What it is when `agentId` says something about a call that is not under way with it; `owner`: who works on it now. */
  kindOf(callId: string, agentId: string, owner: string | undefined): StrayAnswer {
    const ended = this.#ended.get(callId);
    const whose = owner ?? ended?.agentId;
    if (whose === undefined) return "unknown_call";
    if (whose !== agentId) return "foreign_call";
    return ended?.isAnswered === true ? "second_result" : "late_result";
  }
}
