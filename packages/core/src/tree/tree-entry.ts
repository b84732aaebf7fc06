export type TreeMode = "file" | "executable" | "symlink";

/** `path` is relative with `/`; `size` in bytes; for a symlink `sha256` and `size` are those of the link text. */
export type TreeEntry = { path: string; mode: TreeMode; sha256: string; size: number };

/** Order by UTF-16 code unit: the same on every machine, whatever its locale. */
export function byPath(left: { path: string }, right: { path: string }): number {
  return left.path < right.path ? -1 : left.path > right.path ? 1 : 0;
}

export function isTreeEntry(value: unknown): value is TreeEntry {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Record<string, unknown>;
  return (
    typeof entry["path"] === "string" &&
    (entry["mode"] === "file" || entry["mode"] === "executable" || entry["mode"] === "symlink") &&
    typeof entry["sha256"] === "string" &&
    typeof entry["size"] === "number"
  );
}
