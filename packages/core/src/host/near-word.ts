/** A word that is not known, and the known one that was most likely meant. */

/**
 * The known word that was most likely meant: within so many edits (two letters that changed places count as one) as its
 * length allows, or the only one that ends with `.word`. Undefined when nothing is that near; a far guess is worse than none.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  return nearestBehind(word, known, () => 0);
}

/**
 * The same for ids: the labels that an id shares with the one that was typed say nothing about the rest of it, so that
 * net.small.ledger is not near net.small.fetcher.
 */
export function nearestId(typed: string, known: readonly string[]): string | undefined {
  return nearestBehind(typed, known, sharedLabels);
}

/** `shared`: how much of both is left out of the comparison. */
function nearestBehind(
  word: string,
  known: readonly string[],
  shared: (typed: string, candidate: string) => number,
): string | undefined {
  const typed = word.slice(0, 80);
  const endings = known.filter((candidate) => candidate.endsWith(`.${typed}`));
  if (endings.length === 1) return endings[0];
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of known) {
    const from = shared(typed, candidate);
    const rest = typed.slice(from);
    const distance = editDistance(rest, candidate.slice(from));
    if (distance <= allowedEdits(rest.length) && distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Length of the labels that both begin with, and of what stands behind them. */
function sharedLabels(a: string, b: string): number {
  let shared = 0;
  for (let at = 0; at < a.length && a[at] === b[at]; at++) if (a[at] === "." || a[at] === "/") shared = at + 1;
  return shared;
}

/** `; did you mean "…"?`, or nothing where nothing is near. */
export function guess(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? "" : `; did you mean "${near}"?`;
}

function allowedEdits(length: number): number {
  if (length <= 3) return 1;
  if (length <= 8) return 2;
  return Math.max(3, Math.floor(length / 3));
}

/** Optimal string alignment: as Levenshtein's, and two neighbours that changed places are one edit (`rnu`). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const isSwapped = column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swap = isSwapped ? (before[column - 2] ?? 0) + 1 : substitution;
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution, swap));
    }
    [before, previous] = [previous, current];
  }
  return previous[b.length] ?? 0;
}
