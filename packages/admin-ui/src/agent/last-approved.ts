/**
 * What the last approval of this page took away. Outside of the review, which begins anew with each approval, its button
 * with it: so the focus goes to where this is said.
 */
import { noLongerApproved } from "@opensentience/protocol";
import type { ResponseOf } from "../api/routes.ts";
import { Store } from "../live/store.ts";

type Agent = ResponseOf<"get_agent">;
/** The agent as it was when the button was pressed, and as it is since. */
export type Approved = { before: Agent; now: ResponseOf<"enable_agent"> };
type LastApproved = { approvalId: string; takenAway: readonly string[] };

export const lastApproved = new Store<LastApproved | undefined>(undefined);
const focused = new WeakSet<LastApproved>();

export function keepApproved({ before, now }: Approved): void {
  if (now.approval === null) return;
  lastApproved.set({ approvalId: now.approval.approval_id, takenAway: noLongerApproved(before, now) });
}

/** For the place that says what was approved last: the focus goes there once. */
export function focusOnce(last: LastApproved): (place: HTMLElement | null) => void {
  return (place) => {
    if (place === null || focused.has(last)) return;
    focused.add(last);
    place.focus();
  };
}
