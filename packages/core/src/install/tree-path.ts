import { CoreError, safeText } from "@opensentience/protocol";

const MAX_PATH_BYTES = 4_096;
const MAX_NAME_BYTES = 255;
/** Characters that HFS+ ignores in names, so that `.g<ZWNJ>it` is `.git` there. */
const HFS_IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;
const LONE_SURROGATE_OR_REPLACED = /[\ufffd\p{Cs}]/u;

type Known = { spelling: string; isFolder: boolean };

/**
 * Checks the paths of one tree before any of them is created: each alone, and against all others for names that one
 * file system or another would take for the same. Throws `install.unsafe_tree` with the path in its details.
 */
export class TreePaths {
  readonly #known = new Map<string, Known>();

  /** A file's path as git lists it; the folders above it are added with it. */
  addFile(path: string): void {
    checkTreePath(path);
    for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) this.#add(path.slice(0, end), true);
    this.#add(path, false);
  }

  #add(spelling: string, isFolder: boolean): void {
    const folded = foldCase(spelling);
    const known = this.#known.get(folded);
    if (known === undefined) this.#known.set(folded, { spelling, isFolder });
    else if (known.spelling !== spelling)
      throw unsafePath(spelling, `it differs from ${quotePath(known.spelling)} only in case or accents`);
    else if (!isFolder || !known.isFolder) throw unsafePath(spelling, "it is there twice, or as a file and a folder");
  }
}

/** One path alone. Throws `install.unsafe_tree`. */
export function checkTreePath(path: string): void {
  if (path === "" || path.startsWith("/")) throw unsafePath(path, "it is empty or absolute");
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw unsafePath(path, "it is too long");
  if (/\p{Cc}/u.test(path)) throw unsafePath(path, "it holds control characters");
  if (LONE_SURROGATE_OR_REPLACED.test(path)) throw unsafePath(path, "it is not valid UTF-8");
  for (const name of path.split("/")) {
    if (name === "") throw unsafePath(path, "it has an empty part");
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw unsafePath(path, "a part of it is too long");
    // A backslash separates folders on Windows, so its parts must be as harmless.
    for (const part of name.split("\\")) {
      if (part === "." || part === "..") throw unsafePath(path, "it has a . or .. part");
      if (isDotGit(part)) throw unsafePath(path, "a part of it is .git or would be on another system");
    }
  }
}

/**
 * Whether a name is `.git` to any file system: case, HFS+ ignorable characters, NTFS short names, trailing dots and
 * spaces, alternate streams. SECURITY: such a folder would be a nested repository whose config runs commands;
 * pinned by "refuses .git in every spelling".
 */
export function isDotGit(name: string): boolean {
  const plain = name
    .normalize("NFKC")
    .replace(HFS_IGNORED, "")
    .split(":", 1)[0]!
    .replace(/[. ]+$/, "")
    .toLowerCase();
  return plain === ".git" || /^git~[0-9]+$/.test(plain);
}

/** True when a symlink at `path` with this text stays inside the tree, going by the text alone. */
export function staysInside(path: string, linkText: string): boolean {
  if (linkText === "" || linkText.startsWith("/") || linkText.includes("\0") || /^[A-Za-z]:|\\/.test(linkText))
    return false;
  let depth = path.split("/").length - 1;
  for (const part of linkText.split("/")) {
    if (part === "..") depth--;
    else if (part !== "" && part !== ".") depth++;
    if (depth < 0) return false;
  }
  return true;
}

export function unsafePath(path: string, reason: string): CoreError {
  return new CoreError("install.unsafe_tree", `the repository holds an entry that is never written: ${reason}`, {
    details: { path: quotePath(path), reason },
  });
}

/** A path as it may be shown: hidden and control characters escaped, bounded. */
export function quotePath(path: string): string {
  return path.length > 200 ? `${safeText(path.slice(0, 200))}…` : safeText(path);
}

function foldCase(path: string): string {
  return path.normalize("NFC").toUpperCase().toLowerCase();
}
