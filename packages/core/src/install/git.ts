/**
 * Everything that has to do with git: bringing a repository here and writing one commit of it to disk, without
 * running anything that the repository, its remote or the user's settings might want run.
 *
 * The way of a commit: `parseGitUrl` and `parseRef` judge what was asked before anything is spawned;
 * `fetchRepository` brings branches and tags into a bare repository of Core's own, kept outside the agent's `src`;
 * `resolveRef` turns the ref into a commit id; `materialise` lists that commit, judges every path, and writes the
 * blobs itself. There is no checkout, so there are no filters, hooks, attributes, LFS, submodules or links.
 *
 * Promises: git runs with a fixed argument vector and an environment built from nothing (`git-command.ts`), under
 * limits of time, size and number of files; every byte written is compared with the ids that the commit names; a
 * failure leaves nothing behind of what the call made. Errors carry `install.*` codes and text that is safe to show;
 * a URL is never quoted.
 *
 * Refuses: credentials in URLs, plain http, remote helpers (`x::`), ssh and local sources unless allowed, local
 * sources of other users, `.git` in any spelling, links that leave the tree, names that clash on other systems.
 * Callers: install and the registry's sync, which hold the locks and write the audit events.
 */
export { type GitProgram, findGit } from "./git-command.ts";
export { type FetchOptions, fetchRepository } from "./git-fetch.ts";
export { type Repository, type ResolvedRef, resolveRef } from "./git-ref.ts";
export { type GitUrl, type GitUrlRules, parseGitUrl, parseRef } from "./git-url.ts";
export { type Materialised, type MaterialiseOptions, materialise } from "./materialise.ts";
