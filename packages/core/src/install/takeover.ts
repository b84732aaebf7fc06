/** Whose id it is: an installed id keeps its repository until somebody names both in one command. */
import { CoreError } from "@opensentience/protocol";
import type { AgentRecord } from "../catalog/catalog.ts";
import type { GitUrl } from "./git.ts";

/**
 * For an install by URL, which names no id. Throws `install.already_installed`.
 * SECURITY: any repository can carry any id; pinned by "an install by URL does not take an installed id over from
 * another repository".
 */
export function refuseTakeover(known: AgentRecord | undefined, url: GitUrl): void {
  if (known === undefined || known.installPath === null || known.gitUrl === url.text) return;
  const allow = url.kind === "local" ? " --allow-local" : "";
  throw new CoreError(
    "install.already_installed",
    `${known.agentId} is installed already, from another repository (${known.gitUrl ?? "unknown"})`,
    {
      details: { installed_git_url: known.gitUrl },
      nextStep: `opensentience agents install ${known.agentId} --git-url ${shellWord(url.text)}${allow}`,
    },
  );
}

/** An update is an install that may find nothing to do; the help that its refusal names is its own. */
export function namingUpdate(error: unknown): never {
  if (!(error instanceof CoreError) || error.nextStep !== "opensentience help agents install") throw error;
  const { code, message, details, cause } = error;
  throw new CoreError(code, message, { details, cause, nextStep: "opensentience help agents update" });
}

/** A path may hold spaces; the next step has to work when it is typed. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

type Named = { agentId?: string; gitUrl?: string; ref?: string; onlyIfMoved?: boolean };

/** The command that was refused, once more, with what allows a local source. */
export function allowingLocal(request: Named): string {
  return `${commandOf(request)} --allow-local`;
}

/** An install or update as it is typed. */
export function commandOf(request: Named): string {
  const { agentId, gitUrl, ref, onlyIfMoved } = request;
  const verb = onlyIfMoved === true ? "update" : "install";
  const url = gitUrl === undefined ? undefined : shellWord(gitUrl);
  const what = agentId === undefined ? url : `${agentId}${url === undefined ? "" : ` --git-url ${url}`}`;
  const at = ref === undefined ? "" : ` --ref ${shellWord(ref)}`;
  return `opensentience agents ${verb} ${what ?? ""}${at}`;
}
