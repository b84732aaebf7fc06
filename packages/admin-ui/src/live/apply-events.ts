/** What an event changes in what the page has read: small changes are put in place, the rest is read again. */
import type { QueryClient } from "@tanstack/react-query";
import { liveRunsQuery } from "../api/queries.ts";
import { onEvent } from "./events.ts";
import { withRuns } from "./live-runs.ts";

/** A burst of events (a scan, a crash loop) reads a list again at most that often. */
const REFRESH_MS = 300;

export function applyEvents(client: QueryClient): void {
  const refresh = batched((keys) => {
    for (const key of keys) void client.invalidateQueries({ queryKey: JSON.parse(key) as unknown[] });
  });
  let instance: string | undefined;
  onEvent("hello", ({ instance_id: id }) => {
    // What was read before the first one may be old by now; after a gap Core says `reset` itself.
    if (id !== instance) void client.invalidateQueries();
    instance = id;
  });
  onEvent("reset", () => void client.invalidateQueries());
  onEvent("catalog", ({ agent_ids: ids }) => {
    refresh(
      ["agents"],
      ["status"],
      ...ids.flatMap((id) => [
        ["agent", id],
        ["drift", id],
        ["plan", id],
        ["manifest", id],
      ]),
    );
  });
  onEvent("runs", ({ items }) => {
    client.setQueryData(liveRunsQuery.queryKey, (runs) => (runs === undefined ? runs : withRuns(runs, items)));
    refresh(
      ["agents"],
      ["status"],
      ["runs"],
      ...items.flatMap((run) => [
        ["agent", run.agent_id],
        ["tools", run.agent_id],
      ]),
    );
  });
}

/** Collects keys for a moment, then hands each one on once. The first of a quiet time goes at once. */
function batched(flush: (keys: Set<string>) => void): (...keys: string[][]) => void {
  let waiting = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = (): void => {
    const keys = waiting;
    waiting = new Set();
    timer = keys.size === 0 ? undefined : setTimeout(run, REFRESH_MS);
    if (keys.size > 0) flush(keys);
  };
  return (...keys) => {
    for (const key of keys) waiting.add(JSON.stringify(key));
    timer ??= setTimeout(run, 0);
  };
}
