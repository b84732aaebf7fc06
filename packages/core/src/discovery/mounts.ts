/**
 * Which folders lie on file systems of this machine. Those answer at once and keep their times by this machine's clock, so
 * a scan may ask them without waiting and believe their times. Everything else is far: a file server that never answers
 * must not hold Core up, and a program that serves a file system can say what it likes about times.
 */
import { readFile } from "node:fs/promises";

/** Each of these changes a folder's times whenever a name in it comes, goes or is replaced. FAT does not for its root. */
const NEAR = new Set(["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "overlay"]);

export class Mounts {
  readonly #isNearAt: Map<string, boolean>;

  constructor(isNearAt: Map<string, boolean>) {
    this.#isNearAt = isNearAt;
  }

  /** As they are now. Where the kernel does not tell (not Linux, no /proc), everything is far. */
  static async read(): Promise<Mounts> {
    return parseMounts(await readFile("/proc/self/mountinfo", "utf8").catch(() => ""));
  }

  /** Whether `path` (absolute, free of links) lies on a file system of this machine. */
  isNear(path: string): boolean {
    for (let folder = path; ; folder = folder.slice(0, folder.lastIndexOf("/"))) {
      const isNear = this.#isNearAt.get(folder === "" ? "/" : folder);
      if (isNear !== undefined || folder === "" || folder === "/") return isNear ?? false;
    }
  }

  /** Whether something far is mounted right at `path`; says so without touching it. */
  isFarMount(path: string): boolean {
    return this.#isNearAt.get(path) === false;
  }
}

/** `text` is /proc/self/mountinfo: the fifth field is the folder, the first after " - " the kind of file system. */
export function parseMounts(text: string): Mounts {
  const isNearAt = new Map<string, boolean>();
  for (const line of text.split("\n")) {
    const [place, system] = line.split(" - ");
    const folder = place?.split(" ")[4];
    const kind = system?.split(" ")[0];
    // Of several mounts on one folder the last is the one that is seen.
    if (folder !== undefined && kind !== undefined) isNearAt.set(unescape(folder), NEAR.has(kind));
  }
  return new Mounts(isNearAt);
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
