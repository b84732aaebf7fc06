/** Wider and narrower: by what two permissions cover, never by how they are spelled. */
import { type Understood, canonicalPermissions, understand } from "./grammar.ts";
import { includesHost } from "./host-pattern.ts";
import { type Budget, ONE_COMPARISON, includesPath } from "./path-pattern.ts";
import { includesTool } from "./tool-pattern.ts";

export type Comparison = "equal" | "wider" | "narrower" | "unrelated";

/** Whether who holds `held` holds all that `wanted` asks for. */
export function coversPermission(held: string, wanted: string): boolean {
  return ["equal", "wider"].includes(comparePermissions(held, wanted));
}

/**
 * "wider" = `a` covers all that `b` covers, and more. Sound: "wider" and "narrower" are only said when inclusion
 * holds for every path, host or tool; where that cannot be told (unknown domains, patterns that cover nothing) the
 * answer is "unrelated" unless the texts are equal. `~` stays symbolic unless `home` is given.
 */
export function comparePermissions(a: string, b: string, home?: string): Comparison {
  if (a === b) return "equal";
  return compareUnderstood(understand(a, home), understand(b, home), { left: ONE_COMPARISON });
}

function compareUnderstood(a: Understood, b: Understood, budget: Budget): Comparison {
  if (budget.left < 0) return "unrelated";
  const covers = includes(a, b, budget);
  const covered = includes(b, a, budget);
  if (budget.left < 0) return "unrelated";
  if (covers) return covered ? "equal" : "wider";
  return covered ? "narrower" : "unrelated";
}

function includes(outer: Understood, inner: Understood, budget: Budget): boolean {
  if (outer.kind === "path" && inner.kind === "path") {
    return (outer.write || !inner.write) && includesPath(outer.path, inner.path, budget);
  }
  if (outer.kind === "host" && inner.kind === "host") return includesHost(outer.host, inner.host);
  if (outer.kind === "tool" && inner.kind === "tool") return includesTool(outer.tool, inner.tool);
  return false;
}

export type PermissionChange = { from: string; to: string };
export type PermissionDiff = {
  added: string[];
  removed: string[];
  widened: PermissionChange[];
  narrowed: PermissionChange[];
};

/** Work that one whole diff may cost; past it the rest is reported as added and removed, which is always true. */
const ONE_DIFF = 400_000;

/**
 * What changed between two lists. A new entry that a dropped one covered is "narrowed"; one that covers dropped ones
 * is "widened"; entries in neither are "added" and "removed". A new spelling of the same thing counts as both, since
 * approvals go by exact text.
 */
export function diffPermissions(before: readonly string[], after: readonly string[]): PermissionDiff {
  const [old, fresh] = [canonicalPermissions(before), canonicalPermissions(after)];
  const [oldSet, freshSet] = [new Set(old), new Set(fresh)];
  const gone = old.filter((entry) => !freshSet.has(entry)).map(withMeaning);
  const come = fresh.filter((entry) => !oldSet.has(entry)).map(withMeaning);
  const diff: PermissionDiff = { added: [], removed: [], widened: [], narrowed: [] };
  const budget: Budget = { left: ONE_DIFF };
  const paired = new Set<string>();
  for (const entry of come) {
    const compared = gone.map((other) => ({
      from: other.text,
      is: compareUnderstood(entry.meaning, other.meaning, budget),
    }));
    const wasCoveredBy = compared.find(({ is }) => is === "narrower");
    const covers = compared.filter(({ is }) => is === "wider");
    if (wasCoveredBy !== undefined) diff.narrowed.push({ from: wasCoveredBy.from, to: entry.text });
    else {
      // Each dropped entry is named once, so hostile lists cannot make a diff of their product.
      const news = covers.filter(({ from }) => !paired.has(from));
      const named = news.length > 0 ? news : covers.slice(0, 1);
      diff.widened.push(...named.map(({ from }) => ({ from, to: entry.text })));
    }
    if (wasCoveredBy === undefined && covers.length === 0) diff.added.push(entry.text);
    for (const { from } of wasCoveredBy === undefined ? covers : [wasCoveredBy]) paired.add(from);
  }
  diff.removed = gone.map(({ text }) => text).filter((text) => !paired.has(text));
  return diff;
}

function withMeaning(text: string): { text: string; meaning: Understood } {
  return { text, meaning: understand(text) };
}

/** True when something was dropped or narrowed and nothing came that was not covered before. */
export function isPureNarrowing(diff: PermissionDiff): boolean {
  if (diff.added.length > 0 || diff.widened.length > 0) return false;
  return diff.removed.length > 0 || diff.narrowed.length > 0;
}
