/** A word that is not known, and the known one that was most likely meant. */

/**
 * The known word that was most likely meant: within so many edits (Levenshtein) as its length allows, or the only one that
 * ends with `.word`. Undefined when nothing is that near; a far guess is worse than none.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const typed = word.slice(0, 80);
  const endings = known.filter((candidate) => candidate.endsWith(`.${typed}`));
  if (endings.length === 1) return endings[0];
  let best: string | undefined;
  let bestDistance = allowedEdits(typed.length) + 1;
  for (const candidate of known) {
    const distance = editDistance(typed, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
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

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
