/**
 * Path patterns of `filesystem:*` permissions. Only `*` (within one segment) and `**` as a whole segment (any number
 * of segments, also none) are special; `?`, `[`, `{` and `\` stand for themselves. So `/a/**` covers `/a` and all
 * below it. A pattern is absolute or starts with `~`; anything else covers nothing.
 */

/** Marks in compiled patterns: `*`, a whole-segment `**`, and "a character no pattern names". */
const STAR = "\u0001";
const CROSS = "\u0002";
const FRESH = "\u0000";
const MARKS = /[\u0000-\u0002]/;

/** Work left for comparisons; shared over many, so that hostile lists cannot keep Core busy. */
export type Budget = { left: number };
export const ONE_COMPARISON = 200_000;

export type PathPattern = {
  /** `~` as long as the home is not known. */
  root: "/" | "~";
  /** Compiled segments: CROSS, or text in which STAR stands for `*`. */
  segments: readonly string[];
};

/** undefined when the pattern can cover no path: relative, `~user`, climbing out of `~`, or `..` behind a wildcard. */
export function parsePathPattern(text: string, home?: string): PathPattern | undefined {
  const tilde = text === "~" || text.startsWith("~/");
  if ((!tilde && !text.startsWith("/")) || MARKS.test(text)) return undefined;
  const segments = normalisePattern((tilde ? text.slice(1) : text).split("/"), tilde);
  if (segments === undefined) return undefined;
  if (!tilde || home === undefined) return { root: tilde ? "~" : "/", segments };
  const prefix = normalisePath(home);
  // A home is a literal: a `*` in its name must not become a wildcard.
  if (prefix === undefined || MARKS.test(home)) return undefined;
  return { root: "/", segments: [...prefix, ...segments] };
}

function normalisePattern(parts: readonly string[], belowHome: boolean): string[] | undefined {
  const out: string[] = [];
  for (const part of parts) {
    if (part === "" || part === ".") continue;
    if (part !== "..") {
      const segment = part === "**" ? CROSS : part.replace(/\*+/g, STAR);
      if (segment !== CROSS || out.at(-1) !== CROSS) out.push(segment);
      continue;
    }
    const last = out.pop();
    // SECURITY: `~/x/../../etc` must not leave the home, and what `..` undoes behind a wildcard is unknown;
    // pinned by "a pattern that climbs out of the home covers nothing".
    if (last === undefined ? belowHome : last === CROSS || last.includes(STAR)) return undefined;
  }
  return out;
}

/** Segments of an absolute path with `.`, `..` and doubled slashes resolved by text; undefined when not absolute. */
function normalisePath(path: string): string[] | undefined {
  if (!path.startsWith("/") || path.includes(FRESH)) return undefined;
  const out: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") out.pop();
    else if (part !== "" && part !== ".") out.push(part);
  }
  return out;
}

/**
 * True when the pattern covers the path. The caller resolves symlinks first; `..` is resolved here as well, so a path
 * such as `~/x/../../etc` is judged by where it leads.
 */
export function matchesPath(pattern: string, absolutePath: string, home: string): boolean {
  const compiled = parsePathPattern(pattern, home);
  const path = normalisePath(absolutePath);
  if (compiled === undefined || path === undefined) return false;
  let states = closure(compiled.segments, [0]);
  for (const segment of path) states = step(compiled.segments, states, segment);
  return states.includes(compiled.segments.length);
}

/** What of the file system a pattern reaches: a fixed path and how it goes on from there. */
export type PathReach = {
  /** The longest prefix without a wildcard: an absolute path, `/` at least. */
  fixed: string;
  /** `itself`: that path alone. `everything`: it and all below it. `matches`: whatever below it the pattern covers. */
  covers: "itself" | "everything" | "matches";
  /** Of `matches`: a folder that is covered is covered with all that is in it. */
  takesFolders: boolean;
  /** How many segments below `fixed` a covered path can have. */
  depth: number;
};

/** undefined when the pattern covers no path. */
export function pathReach(pattern: string, home: string): PathReach | undefined {
  const compiled = parsePathPattern(pattern, home);
  if (compiled === undefined) return undefined;
  const { segments } = compiled;
  const at = segments.findIndex((segment) => MARKS.test(segment));
  const rest = at === -1 ? [] : segments.slice(at);
  return {
    fixed: `/${segments.slice(0, at === -1 ? segments.length : at).join("/")}`,
    covers: rest.length === 0 ? "itself" : rest.length === 1 && rest[0] === CROSS ? "everything" : "matches",
    takesFolders: rest.at(-1) === CROSS,
    depth: rest.includes(CROSS) ? Number.POSITIVE_INFINITY : rest.length,
  };
}

/**
 * True when every path that `inner` covers is covered by `outer`, whatever the home is. Each `*` of `inner` becomes a
 * character, and each `**` any number of segments, that only a wildcard of `outer` can take: if that fits, so does
 * every text in its place; if it does not, it is itself a counterexample. With the budget used up the answer is
 * false, which never claims too much.
 */
export function includesPath(
  outer: PathPattern,
  inner: PathPattern,
  budget: Budget = { left: ONE_COMPARISON },
): boolean {
  if (outer.root === "~" && inner.root === "/") return false;
  // An unknown home is some run of segments: below `/` it is covered only where `**` would be.
  const word = outer.root === "/" && inner.root === "~" ? [CROSS, ...inner.segments] : inner.segments;
  budget.left -= 1;
  if (differInName(outer.segments[0], word[0])) return false;
  const queue: { at: number; states: readonly number[] }[] = [{ at: 0, states: closure(outer.segments, [0]) }];
  const seen = new Set<string>();
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { at, states } = next;
    const key = `${at}:${states.join(",")}`;
    if (seen.has(key)) continue;
    seen.add(key);
    budget.left -= states.length + 1;
    if (states.length === 0 || budget.left < 0) return false;
    const segment = word[at];
    if (segment === undefined) {
      if (!states.includes(outer.segments.length)) return false;
    } else if (segment === CROSS) {
      queue.push({ at: at + 1, states }, { at, states: step(outer.segments, states, FRESH) });
    } else {
      queue.push({ at: at + 1, states: step(outer.segments, states, segment.replaceAll(STAR, FRESH)) });
    }
  }
  return true;
}

/** Settles most pairs at once: two plain first segments that are not the same. */
function differInName(outer: string | undefined, inner: string | undefined): boolean {
  return outer !== undefined && inner !== undefined && outer !== inner && !MARKS.test(outer) && !MARKS.test(inner);
}

/** Positions in the pattern that can be reached without taking a segment, in rising order. */
function closure(pattern: readonly string[], states: readonly number[]): number[] {
  const out = new Set<number>();
  for (let state of states) {
    out.add(state);
    while (pattern[state] === CROSS) out.add(++state);
  }
  return [...out].sort((a, b) => a - b);
}

function step(pattern: readonly string[], states: readonly number[], segment: string): number[] {
  const next: number[] = [];
  for (const state of states) {
    const expected = pattern[state];
    if (expected === undefined) continue;
    if (expected === CROSS) next.push(state);
    else if (matchesSegment(expected, segment)) next.push(state + 1);
  }
  return closure(pattern, next);
}

/** Wildcard match of one segment; goes back to the last star only, so the time is at most pattern × segment. */
function matchesSegment(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (pattern[p] === STAR) {
      star = p++;
      resume = t;
    } else if (p < pattern.length && pattern[p] === text[t]) {
      p += 1;
      t += 1;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else return false;
  }
  while (pattern[p] === STAR) p += 1;
  return p === pattern.length;
}
