/** The files of a drift on the way from Core to who shows them: so many are named, the others counted. */
const MAX_NAMED = 50;

/** A list as it is sent: one entry more than are named says how many others there are. */
export function sentFiles(paths: readonly string[]): string[] {
  const more = paths.length - MAX_NAMED;
  return more <= 0 ? [...paths] : [...paths.slice(0, MAX_NAMED), `… and ${more} more`];
}

/**
 * What was sent. SECURITY: only behind as many names as there may be does an entry count others: a file could be called so,
 * and would not be shown. Pinned by "a file that is called like a count is a file".
 */
export function readFiles(sent: readonly string[]): { named: string[]; more: number } {
  const count = sent.length > MAX_NAMED ? /^… and (\d+) more$/.exec(sent[MAX_NAMED] ?? "")?.[1] : undefined;
  return count === undefined ? { named: [...sent], more: 0 } : { named: sent.slice(0, MAX_NAMED), more: Number(count) };
}
