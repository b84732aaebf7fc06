import { CoreError, safeText } from "@opensentience/protocol";
import { findProgram, runTool, type ToolOptions, type ToolResult } from "../host/child-process.ts";
import { PROXY_URL } from "../sandbox/sandbox.ts";
import { boxedSshEnvironment, SSH_COMMAND } from "./git-ssh.ts";
import type { GitUrl } from "./git-url.ts";

/** The git program, the PATH that it and its own helpers get, and what holds it. */
export type GitProgram = {
  gitPath: string;
  pathVariable: string;
  /** By which the next start of Core finds what of a call outlived this one. */
  marker?: string;
  /** Runs a vector of git in a sandbox that shows what the call needs. */
  sandbox?: (argv: readonly string[], reach: GitReach, options: ToolOptions) => Promise<ToolResult>;
  /** Where there is no sandbox: what holds its process tree, in front of its argv. */
  box?: (cwd: string) => string[];
};

/** What one call needs of this machine and of the network. */
export type GitReach = {
  repoFolder: string;
  transport: Transport;
  /** False: the call only reads the repository. */
  writes: boolean;
  /** Real path of the local source that is read. */
  source?: string | undefined;
  /** The one remote that is asked. */
  remote?: { host: string; port: number } | undefined;
};

/** Transport that one call may use; `none` is every call but the two that talk to a remote. */
export type Transport = GitUrl["kind"] | "none";

export type GitCall = {
  git: GitProgram;
  /** Bare repository of Core's own; also the working folder, so that git discovers nothing. */
  repoFolder: string;
  transport: Transport;
  writes?: boolean;
  source?: string | undefined;
  remote?: GitReach["remote"];
  timeoutMs: number;
  /** Kept bytes of each output stream. */
  maxBytes: number;
  input?: string;
  signal?: AbortSignal | undefined;
  sshAuthSocket?: string | undefined;
  onStdout?: (chunk: Buffer) => void;
  onStderr?: (chunk: Buffer) => void;
};

const PROTOCOLS: Record<Transport, string> = { none: "none", https: "https", ssh: "ssh", local: "file" };

/**
 * Settings that win over every file, on every call. A repository's own config cannot take them back.
 * SECURITY: each line closes one way for a repository, a source or a user's settings to run something or to reach
 * elsewhere; pinned by "the argument vector is fixed".
 */
const FIXED_SETTINGS: readonly string[] = [
  "protocol.allow=never",
  "protocol.version=2",
  "core.hooksPath=/dev/null",
  "core.symlinks=false",
  "core.fsmonitor=false",
  "core.untrackedCache=false",
  "core.attributesFile=/dev/null",
  "core.excludesFile=/dev/null",
  "core.askPass=/bin/false",
  "core.gitProxy=",
  "core.pager=cat",
  "core.editor=/bin/false",
  "core.protectHFS=true",
  "core.protectNTFS=true",
  "core.logAllRefUpdates=false",
  "core.bigFileThreshold=16m",
  "safe.bareRepository=explicit",
  "credential.helper=",
  "credential.interactive=false",
  "http.sslVerify=true",
  "http.followRedirects=initial",
  "http.extraHeader=",
  "http.cookieFile=",
  "http.saveCookies=false",
  "http.proxy=",
  "transfer.fsckObjects=true",
  "fetch.fsckObjects=true",
  "transfer.bundleURI=false",
  "transfer.credentialsInUrl=die",
  "fetch.unpackLimit=1",
  "fetch.recurseSubmodules=false",
  "fetch.writeCommitGraph=false",
  "submodule.recurse=false",
  "gc.auto=0",
  "maintenance.auto=false",
  "gpg.program=/bin/false",
  "log.showSignature=false",
  "init.defaultBranch=main",
];

/** `--git-dir` and every setting, in front of the subcommand. In a sandbox https goes through Core's proxy. */
export function gitArguments(
  repoFolder: string,
  transport: Transport,
  command: readonly string[],
  isSandboxed = false,
): string[] {
  const allowed = transport === "none" ? [] : [`protocol.${PROTOCOLS[transport]}.allow=always`];
  if (isSandboxed && transport === "https") allowed.push(`http.proxy=${PROXY_URL}`);
  return [
    "--no-pager",
    "--no-replace-objects",
    "--literal-pathspecs",
    `--git-dir=${repoFolder}`,
    ...[...FIXED_SETTINGS, ...allowed].flatMap((setting) => ["-c", setting]),
    ...command,
  ];
}

/**
 * The whole environment of git, built from nothing.
 * SECURITY: git hands its `-c` settings not on to the git-upload-pack that it starts in a local source, but it does
 * hand on its environment: GIT_NO_LAZY_FETCH and GIT_ALLOW_PROTOCOL keep that source's config from running a command;
 * pinned by "a hostile local source runs nothing".
 */
export function gitEnvironment(
  pathVariable: string,
  transport: Transport,
  sshAuthSocket?: string,
  isSandboxed = false,
): Record<string, string> {
  const hasAgent = sshAuthSocket !== undefined && transport === "ssh";
  return {
    PATH: pathVariable,
    LANG: "C",
    LC_ALL: "C",
    HOME: "/nonexistent",
    XDG_CONFIG_HOME: "/nonexistent",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_SYSTEM: "/dev/null",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_ALLOW_PROTOCOL: PROTOCOLS[transport],
    GIT_PROTOCOL_FROM_USER: "0",
    GIT_NO_LAZY_FETCH: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "/bin/false",
    SSH_ASKPASS: "/bin/false",
    SSH_ASKPASS_REQUIRE: "never",
    GIT_SSH_COMMAND: SSH_COMMAND,
    GIT_SSH_VARIANT: "ssh",
    GIT_LFS_SKIP_SMUDGE: "1",
    ...(hasAgent ? { SSH_AUTH_SOCK: sshAuthSocket } : {}),
    ...(isSandboxed && transport === "ssh" ? boxedSshEnvironment(hasAgent) : {}),
  };
}

/** Finds git on a PATH-like list. Throws `install.git_missing`. */
export async function findGit(pathVariable: string): Promise<GitProgram> {
  const gitPath = await findProgram("git", pathVariable);
  if (gitPath !== undefined) return { gitPath, pathVariable };
  throw new CoreError("install.git_missing", `git is not on tools.path (${pathVariable})`, {
    nextStep: "sudo apt-get install git",
    details: { program: "git" },
  });
}

/**
 * Runs one git command to its end. A failing exit is a value; throws `install.limit_exceeded` on the time limit and
 * the reason of `signal` when the caller gave up.
 */
export async function runGit(command: readonly string[], call: GitCall): Promise<ToolResult> {
  const { git, repoFolder, transport } = call;
  const isSandboxed = git.sandbox !== undefined;
  const argv = [git.gitPath, ...gitArguments(repoFolder, transport, command, isSandboxed)];
  const options: ToolOptions = {
    env: {
      ...gitEnvironment(git.pathVariable, transport, call.sshAuthSocket, isSandboxed),
      ...(git.marker === undefined ? {} : { OPENSENTIENCE_RUN_ID: git.marker }),
    },
    timeoutMs: call.timeoutMs,
    maxBytes: call.maxBytes,
    ...(call.input === undefined ? {} : { input: call.input }),
    ...(call.signal === undefined ? {} : { signal: call.signal }),
    ...(call.onStdout === undefined ? {} : { onStdout: call.onStdout }),
    ...(call.onStderr === undefined ? {} : { onStderr: call.onStderr }),
  };
  const reach = { repoFolder, transport, writes: call.writes === true, source: call.source, remote: call.remote };
  const result =
    git.sandbox === undefined
      ? await runTool([...(git.box?.(repoFolder) ?? []), ...argv], { ...options, cwd: repoFolder })
      : await git.sandbox(argv, reach, options);
  call.signal?.throwIfAborted();
  if (result.timedOut) throw timeLimitExceeded(command[0] ?? "");
  return result;
}

export function timeLimitExceeded(command: string): CoreError {
  return new CoreError("install.limit_exceeded", "git took longer than the time limit", {
    details: { limit: "install.timeout_ms", command },
    nextStep: "raise install.timeout_ms in config.toml",
  });
}

/** What git said about a failure: its own fatal and error lines, without userinfo or control characters, bounded. */
export function gitMessage(stderr: Buffer): string {
  const lines = safeLines(stderr.subarray(0, 64 * 1024).toString("utf8"));
  const telling = lines.filter((line) =>
    /^(?:fatal|error|ssh|remote: (?:fatal|error)|host key verification|\S+: permission denied)/i.test(line),
  );
  const chosen = (telling.length > 0 ? telling : lines).slice(0, 3).join("; ");
  return chosen === "" ? "git gave no reason" : safeText(chosen.slice(0, 400));
}

/** Lines of git's output as they may be shown: split at CR and LF, no userinfo in URLs, printable, at most 200 long. */
export function safeLines(text: string): string[] {
  return text
    .split(/[\r\n]+/)
    .map((line) =>
      safeText(
        line
          .slice(0, 1_000)
          .replace(/\/\/[^/\s@]*@/g, "//")
          .slice(0, 200),
      ).trim(),
    )
    .filter((line) => line !== "");
}
