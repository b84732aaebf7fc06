import { describe, expect, test } from "vitest";
import { gitArguments, gitEnvironment, gitMessage, safeLines } from "./git-command.ts";

describe("gitArguments", () => {
  test("the argument vector is fixed", () => {
    const settings = [
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
    const front = ["--no-pager", "--no-replace-objects", "--literal-pathspecs", "--git-dir=/repo"];
    const fixed = settings.flatMap((setting) => ["-c", setting]);
    expect(gitArguments("/repo", "none", ["status"])).toEqual([...front, ...fixed, "status"]);
    expect(gitArguments("/repo", "https", ["fetch", "--", "https://example.com/a"])).toEqual([
      ...front,
      ...fixed,
      "-c",
      "protocol.https.allow=always",
      "fetch",
      "--",
      "https://example.com/a",
    ]);
    expect(gitArguments("/repo", "local", []).at(-1)).toBe("protocol.file.allow=always");
    expect(gitArguments("/repo", "ssh", []).at(-1)).toBe("protocol.ssh.allow=always");
  });
});

describe("gitEnvironment", () => {
  test("is built from nothing", () => {
    expect(gitEnvironment("/usr/bin", "https", "/run/agent.sock")).toEqual({
      PATH: "/usr/bin",
      LANG: "C",
      LC_ALL: "C",
      HOME: "/nonexistent",
      XDG_CONFIG_HOME: "/nonexistent",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_SYSTEM: "/dev/null",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_ATTR_NOSYSTEM: "1",
      GIT_ALLOW_PROTOCOL: "https",
      GIT_PROTOCOL_FROM_USER: "0",
      GIT_NO_LAZY_FETCH: "1",
      GIT_NO_REPLACE_OBJECTS: "1",
      GIT_OPTIONAL_LOCKS: "0",
      GIT_TERMINAL_PROMPT: "0",
      GIT_ASKPASS: "/bin/false",
      SSH_ASKPASS: "/bin/false",
      SSH_ASKPASS_REQUIRE: "never",
      GIT_SSH_COMMAND:
        "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o PermitLocalCommand=no -o ClearAllForwardings=yes -o ForwardAgent=no -o ForwardX11=no -o ProxyCommand=none",
      GIT_SSH_VARIANT: "ssh",
      GIT_LFS_SKIP_SMUDGE: "1",
    });
  });

  test("hands over the ssh agent to ssh only", () => {
    expect(gitEnvironment("/usr/bin", "ssh", "/run/agent.sock")["SSH_AUTH_SOCK"]).toBe("/run/agent.sock");
    expect(gitEnvironment("/usr/bin", "ssh")).not.toHaveProperty("SSH_AUTH_SOCK");
  });
});

describe("git's own text", () => {
  test("loses userinfo, control characters and everything but its point", () => {
    const text =
      "hint: do this\nremote: chatter\u001b[31m\nfatal: unable to access 'https://u:hunter2@h/': no\rfatal: second\n";
    const message = gitMessage(Buffer.from(text));
    expect(message).toBe("fatal: unable to access 'https://h/': no; fatal: second");
  });

  test("is bounded and printable", () => {
    expect(gitMessage(Buffer.from(`fatal: ${"x".repeat(100_000)}`)).length).toBeLessThanOrEqual(400);
    expect(safeLines("a\u001b[2Jb\r\n\n\u202ec")).toEqual(["a\\x1b[2Jb", "\\u202ec"]);
    expect(gitMessage(Buffer.alloc(0))).toBe("git gave no reason");
  });
});
