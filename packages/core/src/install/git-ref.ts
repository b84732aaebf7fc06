import { CoreError, safeText } from "@opensentience/protocol";
import { gitMessage, runGit, type GitCall, type GitProgram } from "./git-command.ts";
import { DETACHED_HEAD } from "./git-fetch.ts";
import { isCommitId, parseRef } from "./git-url.ts";
import { readHead } from "./repository-files.ts";

export type Repository = { git: GitProgram; repoFolder: string };

/** `ref` is the branch or tag that was followed, null when a commit id was asked for or the remote's HEAD was detached. */
export type ResolvedRef = { commit: string; ref: string | null };

export const LOCAL_TIMEOUT_MS = 60_000;
const KEPT_OUTPUT = 64 * 1024;
const NAMES_SHOWN = 10;

/**
 * The commit that `ref` (undefined: the remote's default branch) means in a fetched repository. A whole commit id is
 * that commit; otherwise a branch is preferred to a tag, and a tag to an abbreviated commit id. Throws
 * `install.invalid_ref`, and `install.ref_not_found` with some existing names in its details.
 */
export async function resolveRef(repository: Repository, ref: string | undefined): Promise<ResolvedRef> {
  if (ref === undefined || ref === "HEAD") return await resolveHead(repository);
  parseRef(ref);
  // SECURITY: a repository may hold a branch named like the pinned commit; pinned by "a full commit id never means a branch".
  if (isCommitId(ref)) return { commit: await commitOf(repository, ref, ref), ref: null };
  const names = ref.startsWith("refs/") ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
  for (const name of names) {
    const commit = await findCommit(repository, name);
    if (commit !== undefined) return { commit, ref };
  }
  if (/^[0-9a-f]{7,63}$/.test(ref)) return { commit: await commitOf(repository, ref, ref), ref: null };
  throw await refNotFound(repository, ref);
}

async function resolveHead(repository: Repository): Promise<ResolvedRef> {
  const name = await readHead(repository.repoFolder);
  if (name === undefined) throw await refNotFound(repository, "HEAD");
  const commit = await commitOf(repository, name, "HEAD");
  return { commit, ref: name === DETACHED_HEAD ? null : name.replace(/^refs\/heads\//, "") };
}

async function commitOf(repository: Repository, name: string, asked: string): Promise<string> {
  const commit = await findCommit(repository, name);
  if (commit === undefined) throw await refNotFound(repository, asked);
  return commit;
}

async function findCommit(repository: Repository, name: string): Promise<string | undefined> {
  const command = ["rev-parse", "--quiet", "--verify", "--end-of-options", `${name}^{commit}`];
  const result = await runGit(command, localCall(repository));
  const commit = result.stdout.toString("latin1").trim();
  return result.exitCode === 0 && isCommitId(commit) ? commit : undefined;
}

async function refNotFound(repository: Repository, ref: string): Promise<CoreError> {
  const list = async (prefix: string): Promise<string[]> => {
    const command = [
      "for-each-ref",
      `--count=${NAMES_SHOWN}`,
      "--sort=-creatordate",
      "--format=%(refname:lstrip=2)",
      "--",
      prefix,
    ];
    const result = await runGit(command, localCall(repository));
    if (result.exitCode !== 0) throw new CoreError("install.clone_failed", gitMessage(result.stderr));
    return result.stdout
      .toString("utf8")
      .split("\n")
      .filter(Boolean)
      .map((name) => safeText(name.slice(0, 200)));
  };
  const details = { ref: safeText(ref), branches: await list("refs/heads/"), tags: await list("refs/tags/") };
  const message =
    ref === "HEAD"
      ? "the repository has no default branch with a commit"
      : "the repository has no such branch, tag or commit";
  return new CoreError("install.ref_not_found", message, { details, nextStep: "opensentience help agents install" });
}

function localCall(repository: Repository): GitCall {
  return { ...repository, transport: "none", timeoutMs: LOCAL_TIMEOUT_MS, maxBytes: KEPT_OUTPUT };
}
