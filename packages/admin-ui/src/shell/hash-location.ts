/**
 * Where the page is, behind the `#`: `#/audit?type=tool.call_routed`. The server serves one document and never hears of it.
 * The hooks have the shape that the router expects; its own one writes the query before the `#`, into every request.
 */
import { useSyncExternalStore } from "react";

function split(): { path: string; search: string } {
  const [path = "", search = ""] = location.hash.replace(/^#?\/?/, "/").split("?", 2);
  return { path: path === "" ? "/" : path, search };
}

function watch(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
}

/** Goes to `to` (a path with an optional query). `replace` leaves no step in the history. */
export function goTo(to: string, { replace = false }: { replace?: boolean } = {}): void {
  if (`#${to}` === location.hash) return;
  if (!replace) {
    location.hash = to;
    return;
  }
  history.replaceState(null, "", `#${to}`);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

function usePath(): [string, typeof goTo] {
  return [useSyncExternalStore(watch, () => split().path), goTo];
}

usePath.hrefs = (path: string): string => `#${path}`;

export { usePath };

export function useQueryText(): string {
  return useSyncExternalStore(watch, () => split().search);
}

/** The query of the present place, and a change of some of its keys; an empty value takes a key away. */
export function useQueryState(): [URLSearchParams, (changes: Record<string, string>) => void] {
  const query = new URLSearchParams(useQueryText());
  const change = (changes: Record<string, string>): void => {
    const { path, search } = split();
    const next = new URLSearchParams(search);
    for (const [key, value] of Object.entries(changes)) {
      if (value === "") next.delete(key);
      else next.set(key, value);
    }
    const text = next.toString();
    goTo(text === "" ? path : `${path}?${text}`, { replace: true });
  };
  return [query, change];
}

/** Names the newest build where an address names a run; no run is called so. */
export const BUILD_LOG = "build";

export function buildLogPath(agentId: string): string {
  return `${agentPath(agentId, "log")}?run=${BUILD_LOG}`;
}

export function agentPath(agentId: string, tab = ""): string {
  return `/agents/${encodeURIComponent(agentId)}${tab === "" ? "" : `/${tab}`}`;
}
