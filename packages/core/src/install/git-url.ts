import { canonicalHost, CoreError } from "@opensentience/protocol";
import { shellWord } from "../host/shell-word.ts";

/** A checked source. `text` is exactly what git is given and what is stored: never with credentials, never an option. */
export type GitUrl = { kind: "https" | "ssh" | "local"; text: string };

export type GitUrlRules = {
  /** Config `install.allow_ssh`. */
  allowSsh: boolean;
  /** Flag `--allow-local` or config `install.allow_local`. */
  allowLocal: boolean;
  /** The command that was refused, with what allows a local source; undefined: an install of the URL. */
  allowingLocal?: string | undefined;
};

const MAX_URL_LENGTH = 2_000;
const MAX_REF_LENGTH = 200;
const HELP = "opensentience help agents install";
/** RFC 3986 path characters; a percent sign only as part of an escape of something printable. */
const URL_PATH = /^(?:\/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%(?:[2-6][0-9A-Fa-f]|7[0-9A-Ea-e]|[89A-Fa-f][0-9A-Fa-f]))*)+$/;
const HOST_LABELS =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const HOST_IPV6 = /^\[[0-9A-Fa-f:.]{2,45}\]$/;
const SSH_USER = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;
/** host:path and user@host:path; the path may not begin with a dash or slash-slash, nor hold anything a shell reads. */
const SCP_LIKE = /^(?:([^@:/]*)@)?([^@:/]+):(?!-)([A-Za-z0-9._~/+-]+)$/;

/**
 * Parses a git URL before anything is spawned. Throws `install.invalid_url`, `install.url_not_allowed` (nextStep names
 * the flag or setting) or `install.credentials_in_url`; the URL is never quoted in an error, because it may hold a secret.
 */
export function parseGitUrl(text: string, rules: GitUrlRules): GitUrl {
  // SECURITY: argument injection and line injection into git's own protocols; pinned by "refuses what git could take for an option".
  if (text.length === 0 || text.length > MAX_URL_LENGTH) throw invalidUrl("it is empty or too long");
  if (text.startsWith("-")) throw invalidUrl("it begins with a dash");
  if (/[\s\p{C}]/u.test(text)) throw invalidUrl("it holds white space or control characters");
  // SECURITY: ext:: and fd:: run commands, other x:: run helpers; pinned by "refuses every x:: transport".
  if (/^[A-Za-z0-9+.-]*::/.test(text)) throw notAllowed("remote helper transports are never allowed", HELP);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1];
  if (scheme === undefined) return text.startsWith("/") ? parseLocalPath(text, rules) : parseScpLike(text, rules);
  refuseUserInfo(text, scheme);
  if (/[?#]/.test(text)) throw invalidUrl("it has a query or a fragment");
  if (scheme === "https") return parseHttps(text);
  if (scheme === "ssh") return parseSsh(text, rules);
  if (scheme === "file") return parseFileUrl(text, rules);
  if (scheme.toLowerCase() === "http")
    throw notAllowed("plain http can be read and changed on the way; use the https:// form of the URL", HELP);
  throw notAllowed("only https, and where allowed ssh and local folders, are fetched from", HELP);
}

/** Where a URL from `parseGitUrl` leads, in the one spelling of its host; undefined for a folder of this machine. */
export function remoteOf({ kind, text }: GitUrl): { host: string; port: number } | undefined {
  if (kind === "local") return undefined;
  const [, host = "", port] =
    /^(?:https|ssh):\/\/(?:[^@/]*@)?(\[[^\]]*\]|[^:/]*)(?::(\d+))?\//.exec(text) ??
    /^(?:[^@:/]*@)?([^:]*):/.exec(text) ??
    [];
  const standard = kind === "https" ? 443 : 22;
  return { host: canonicalHost(host) ?? host, port: port === undefined ? standard : Number(port) };
}

/**
 * Parses a branch name, tag name or commit id (git check-ref-format's rules and more). Throws `install.invalid_ref`.
 * Full names (`refs/heads/…`, `refs/tags/…`) are kept as they are.
 */
export function parseRef(text: string): string {
  const reason = refFault(text);
  if (reason === undefined) return text;
  throw new CoreError("install.invalid_ref", `the ref is not a branch, tag or commit id: ${reason}`, {
    nextStep: HELP,
  });
}

/** True for a whole commit id, which always means that commit and never a branch of that name. */
export function isCommitId(ref: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(ref);
}

function refFault(text: string): string | undefined {
  if (text.length === 0 || text.length > MAX_REF_LENGTH) return "it is empty or too long";
  // SECURITY: a ref such as --upload-pack=… would be an option of git; pinned by "refuses what git could take for an option".
  if (text.startsWith("-")) return "it begins with a dash";
  if (/[\s\p{C}~^:?*[\\]/u.test(text)) return "it holds a character that git does not allow";
  if (text.includes("..") || text.includes("@{") || text === "@") return "it holds .. or @";
  const parts = text.split("/");
  if (parts.some((part) => part === "")) return "it has an empty part";
  if (parts.some((part) => part.startsWith(".") || part.endsWith(".lock")))
    return "a part begins with a dot or ends in .lock";
  return text.endsWith(".") ? "it ends with a dot" : undefined;
}

function parseHttps(text: string): GitUrl {
  const match = /^https:\/\/(\[[^\]/]*\]|[^:/]*)(?::([^/]*))?(\/.*)$/.exec(text);
  if (match === null) throw invalidUrl("it has no host or no path");
  checkHost(match[1] ?? "", match[2]);
  checkPath(match[3] ?? "");
  return { kind: "https", text };
}

function parseSsh(text: string, rules: GitUrlRules): GitUrl {
  const match = /^ssh:\/\/(?:([^@/]*)@)?(\[[^\]/]*\]|[^:/]*)(?::([^/]*))?(\/.*)$/.exec(text);
  if (match === null) throw invalidUrl("it has no host or no path");
  if (match[1] !== undefined && !SSH_USER.test(match[1])) throw invalidUrl("its user name is not valid");
  checkHost(match[2] ?? "", match[3]);
  checkPath(match[4] ?? "");
  if (!rules.allowSsh) throw sshNotAllowed();
  return { kind: "ssh", text };
}

function parseScpLike(text: string, rules: GitUrlRules): GitUrl {
  if (/^[^/]*:[^/]*@/.test(text)) throw credentialsInUrl();
  const match = SCP_LIKE.exec(text);
  if (match === null) throw invalidUrl("it is no URL; a local folder needs its absolute path");
  if (match[1] !== undefined && !SSH_USER.test(match[1])) throw invalidUrl("its user name is not valid");
  checkHost(match[2] ?? "", undefined);
  checkSegments(match[3] ?? "");
  if (!rules.allowSsh) throw sshNotAllowed();
  return { kind: "ssh", text };
}

function parseFileUrl(text: string, rules: GitUrlRules): GitUrl {
  if (!text.startsWith("file:///")) throw invalidUrl("a file:// URL must name an absolute path and no host");
  checkPath(text.slice("file://".length));
  if (!rules.allowLocal) throw localNotAllowed(text, rules);
  return { kind: "local", text };
}

/** A plain path becomes a file:// URL, so that git has one way to read it and does not take it for a bundle file. */
function parseLocalPath(text: string, rules: GitUrlRules): GitUrl {
  checkSegments(text);
  if (!rules.allowLocal) throw localNotAllowed(text, rules);
  return { kind: "local", text: `file://${text.split("/").map(encodeURIComponent).join("/")}` };
}

function refuseUserInfo(text: string, scheme: string): void {
  const authority = text.slice(scheme.length + 3).split(/[/?#\\]/, 1)[0] ?? "";
  const end = authority.lastIndexOf("@");
  if (end < 0) return;
  // SECURITY: tokens are often put where the user name goes, so https takes no user at all and ssh no password;
  // pinned by "refuses credentials and never echoes them".
  const isSshUser = scheme === "ssh" && SSH_USER.test(authority.slice(0, end));
  if (!isSshUser) throw credentialsInUrl();
}

function checkHost(host: string, port: string | undefined): void {
  if (!HOST_LABELS.test(host) && !HOST_IPV6.test(host)) throw invalidUrl("its host name is not valid");
  if (port === undefined) return;
  if (!/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > 65_535) throw invalidUrl("its port is not valid");
}

function checkPath(path: string): void {
  if (path === "/" || !URL_PATH.test(path))
    throw invalidUrl("its path is empty or holds a character that is not allowed");
  checkSegments(path);
}

function checkSegments(path: string): void {
  const decoded = path.replace(/%2[eE]/g, ".").split(/\/|%2[fF]/);
  if (decoded.some((segment) => segment === "." || segment === ".."))
    throw invalidUrl("its path has a . or .. segment");
}

function invalidUrl(reason: string): CoreError {
  return new CoreError("install.invalid_url", `the git URL is not valid: ${reason}`, { nextStep: HELP });
}

function notAllowed(reason: string, nextStep: string): CoreError {
  return new CoreError("install.url_not_allowed", `that kind of git URL is not allowed: ${reason}`, { nextStep });
}

function sshNotAllowed(): CoreError {
  return notAllowed(
    "ssh is switched off; use an https:// URL, or set install.allow_ssh = true in config.toml",
    "opensentience core restart --set install.allow_ssh=true",
  );
}

function localNotAllowed(text: string, { allowingLocal }: GitUrlRules): CoreError {
  return notAllowed(
    "it names a folder of this machine, which needs --allow-local",
    allowingLocal ?? `opensentience agents install ${shellWord(text)} --allow-local`,
  );
}

function credentialsInUrl(): CoreError {
  return new CoreError(
    "install.credentials_in_url",
    "the git URL carries credentials, which would be stored and shown; give it without user name and password",
    { nextStep: HELP },
  );
}
