import { createHash } from "node:crypto";
import { CoreError } from "@opensentience/protocol";
import { gitMessage, runGit } from "./git-command.ts";
import { LOCAL_TIMEOUT_MS, type Repository } from "./git-ref.ts";
import { quotePath, unsafePath } from "./tree-path.ts";

export type ListedKind = "file" | "executable" | "symlink" | "submodule";
/** One entry of a commit's tree; `objectId` is git's id of the bytes, `size` their length. */
export type ListedEntry = { path: string; kind: ListedKind; objectId: string; size: number };

/** A mode, a type, an id and a size take less than this in front of a path. */
const MAX_RECORD_BYTES = 4_096 + 256;
const MODES: Record<string, ListedKind> = {
  "100644": "file",
  "100755": "executable",
  "120000": "symlink",
  "160000": "submodule",
};

type TreeRow = { mode: string; type: string; objectId: string; size: string; path: string };

/**
 * Lists every file of a commit, without writing anything. Throws `install.limit_exceeded` as soon as there are more
 * than `maxFiles`, and `install.unsafe_tree` for a kind of entry or a name that is never written.
 *
 * The folders' ids are computed again from the list and compared up to the commit's own tree, so a list that was cut
 * short or a repository that was tampered with cannot pass for the commit (`install.clone_failed`).
 */
export async function listTree(
  repository: Repository,
  commit: string,
  maxFiles: number,
  signal?: AbortSignal,
): Promise<ListedEntry[]> {
  const root = await rootTreeOf(repository, commit, signal);
  const rows: TreeRow[] = [];
  await readRecords(repository, commit, signal, (record) => {
    const row = parseRecord(record);
    rows.push(row);
    // Folders count too: a tree of folders that hold each other would otherwise grow without an end.
    if (rows.length > 2 * maxFiles + 1_000) throw tooManyFiles(maxFiles);
  });
  const entries = rows.filter((row) => row.type !== "tree").map(toEntry);
  if (entries.length > maxFiles) throw tooManyFiles(maxFiles);
  if (!isWholeTree(rows, root))
    throw new CoreError(
      "install.clone_failed",
      "git's list of files is not that of the commit: it holds modes that git does not write any more (git fsck: badFilemode), or was tampered with",
      { nextStep: "git fsck" },
    );
  return entries;
}

async function rootTreeOf(repository: Repository, commit: string, signal?: AbortSignal): Promise<string> {
  const command = ["rev-parse", "--quiet", "--verify", "--end-of-options", `${commit}^{tree}`];
  const result = await runGit(command, {
    ...repository,
    transport: "none",
    timeoutMs: LOCAL_TIMEOUT_MS,
    maxBytes: 1_024,
    signal,
  });
  if (result.exitCode === 0) return result.stdout.toString("latin1").trim();
  throw new CoreError("install.clone_failed", "the commit is not in the fetched repository");
}

async function readRecords(
  repository: Repository,
  commit: string,
  signal: AbortSignal | undefined,
  onRecord: (record: Buffer) => void,
): Promise<void> {
  const giveUp = new AbortController();
  let rest: Buffer = Buffer.alloc(0);
  const onStdout = (chunk: Buffer): void => {
    if (giveUp.signal.aborted) return;
    try {
      const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let start = 0;
      for (let end = data.indexOf(0, start); end >= 0; end = data.indexOf(0, start)) {
        onRecord(data.subarray(start, end));
        start = end + 1;
      }
      rest = Buffer.from(data.subarray(start));
      if (rest.length > MAX_RECORD_BYTES) throw unsafePath(rest.toString("latin1"), "it is too long");
    } catch (error) {
      giveUp.abort(error);
    }
  };
  const result = await runGit(["ls-tree", "-r", "-t", "-z", "-l", "--full-tree", commit], {
    ...repository,
    transport: "none",
    timeoutMs: LOCAL_TIMEOUT_MS,
    maxBytes: 0,
    signal: signal === undefined ? giveUp.signal : AbortSignal.any([signal, giveUp.signal]),
    onStdout,
  });
  if (result.exitCode === 0 && rest.length === 0) return;
  throw new CoreError("install.clone_failed", `git could not list the commit: ${gitMessage(result.stderr)}`);
}

/** `<mode> SP <type> SP <id> SP+ <size or -> TAB <path>` */
function parseRecord(record: Buffer): TreeRow {
  const tab = record.indexOf(9);
  const match = /^([0-7]{6}) (blob|tree|commit) ([0-9a-f]{40,64}) +([0-9]+|-)$/.exec(
    record.subarray(0, tab).toString("latin1"),
  );
  const name = record.subarray(tab + 1);
  if (match === null) throw new CoreError("install.clone_failed", "git listed an entry that cannot be read");
  const path = name.toString("utf8");
  if (!Buffer.from(path, "utf8").equals(name)) throw unsafePath(path, "it is not valid UTF-8");
  return { mode: match[1]!, type: match[2]!, objectId: match[3]!, size: match[4]!, path };
}

function toEntry(row: TreeRow): ListedEntry {
  const kind = MODES[row.mode];
  if (kind === undefined || (kind === "submodule") !== (row.type === "commit")) {
    throw unsafePath(row.path, `its mode is ${quotePath(row.mode)}`);
  }
  return { path: row.path, kind, objectId: row.objectId, size: kind === "submodule" ? 0 : Number(row.size) };
}

/** Whether the rows, in git's own order, make up exactly the tree with that id. */
function isWholeTree(rows: readonly TreeRow[], root: string): boolean {
  const algorithm = root.length === 64 ? "sha256" : "sha1";
  const contents = new Map<string, Buffer[]>([["", []]]);
  for (const row of rows) {
    const cut = row.path.lastIndexOf("/");
    const name = row.path.slice(cut + 1);
    contents
      .get(row.path.slice(0, Math.max(0, cut)))
      ?.push(Buffer.from(`${row.mode.replace(/^0+/, "")} ${name}\0`), Buffer.from(row.objectId, "hex"));
    if (row.type === "tree") contents.set(row.path, []);
  }
  const isWhole = (path: string, objectId: string): boolean => {
    const content = Buffer.concat(contents.get(path) ?? []);
    return createHash(algorithm).update(`tree ${content.length}\0`).update(content).digest("hex") === objectId;
  };
  return isWhole("", root) && rows.every((row) => row.type !== "tree" || isWhole(row.path, row.objectId));
}

function tooManyFiles(maxFiles: number): CoreError {
  return new CoreError("install.limit_exceeded", "the commit holds more files than the limit", {
    details: { limit: "install.max_files", max_files: maxFiles },
    nextStep: "raise install.max_files in config.toml",
  });
}
