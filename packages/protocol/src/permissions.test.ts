import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  canonicalPermissions,
  describePermission,
  enforcementOf,
  matchesTool,
  parsePermission,
} from "./permissions.ts";

describe("parsePermission", () => {
  test("the pattern is everything after the second colon", () => {
    expect(parsePermission("network:egress:example.com:443")).toEqual({
      domain: "network",
      action: "egress",
      pattern: "example.com:443",
    });
    expect(parsePermission("clipboard:read")).toEqual({ domain: "clipboard", action: "read", pattern: undefined });
  });

  test.each([
    "",
    "a",
    "a:",
    ":b",
    "a:b:",
    "A:b",
    "a b:c",
    " a:b",
    "a:b ",
    "a:b:c\n",
    "a:b:\u001b[31m",
    "a:b:x\u202ey",
    "a:b:x\u200by",
    "a:b:\ud800",
    `a:b:${"x".repeat(297)}`,
    `a:b:${"é".repeat(149)}`,
    "__proto__:x",
  ])("refuses %j", (text) => {
    expect(parsePermission(text)).toBeUndefined();
  });

  test("300 bytes are allowed, counted in UTF-8", () => {
    expect(parsePermission(`a:b:${"é".repeat(148)}`)).toBeDefined();
  });
});

describe("canonicalPermissions", () => {
  test("trims, drops empty entries and duplicates, sorts by code point", () => {
    expect(canonicalPermissions([" b:c", "", "a:b", "b:c\t", "  ", "a:b:\u{1f600}", "a:b:\uff5e"])).toEqual([
      "a:b",
      "a:b:\uff5e",
      "a:b:\u{1f600}",
      "b:c",
    ]);
  });

  test("does not depend on order or repetition, and is stable", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: fc.constantFrom("a", ":", " ", "\t", "\uff5e", "\u{1f600}", "\ud83d"), maxLength: 4 }),
          { maxLength: 8 },
        ),
        fc.nat(),
        (list, turn) => {
          const once = canonicalPermissions(list);
          const at = list.length === 0 ? 0 : turn % list.length;
          const turned = [...list.slice(at), ...list.slice(0, at), ...list.slice(0, 2)].toReversed();
          expect(canonicalPermissions(turned)).toEqual(once);
          expect(canonicalPermissions(once)).toEqual(once);
        },
      ),
      { seed: 7 },
    );
  });
});

describe("describePermission", () => {
  test("says in plain words what is granted", () => {
    expect(describePermission("filesystem:read:~/Projects/**")).toEqual({
      meaning: "Read every file under ~/Projects and below",
      risk: null,
    });
    expect(describePermission("network:egress:api.example.com:443")).toEqual({
      meaning: "Connect to api.example.com on port 443",
      risk: null,
    });
    expect(describePermission("tool:invoke:com.a.b/search").meaning).toBe("Call the tool search of com.a.b");
    expect(describePermission("env:read:EDITOR")).toEqual({
      meaning: "Receive the environment variable EDITOR",
      risk: null,
    });
  });

  test.each([
    ["network:egress:*", /anywhere/],
    ["network:egress:*:443", /anywhere/],
    ["network:egress:*.com", /every site/],
    ["network:egress:127.0.0.1:5432", /this machine/],
    ["filesystem:write:~/**", /home/],
    ["filesystem:read:/**", /every file on this machine/],
    ["filesystem:read:/home/**", /home/],
    ["filesystem:read:/home/*/**", /home/],
    ["filesystem:read:~/.ssh/id_ed25519", /~\/\.ssh/],
    ["filesystem:read:/proc/**", /\/proc, where keys/],
    ["filesystem:read:/proc/*/environ", /\/proc, where keys/],
    ["filesystem:read:/proc/*", /\/proc, where keys/],
    ["filesystem:read:/proc/self/environ", /\/proc, where keys/],
    ["filesystem:read:/proc/kcore", /\/proc, where keys/],
    ["filesystem:write:/proc/sys/vm/swappiness", /change \/proc, by which the system/],
    ["filesystem:read:/home/ada/.aws/**", /~\/\.aws/],
    ["filesystem:read:~/.*", /~\/\./],
    ["filesystem:write:~/.bashrc", /\.bashrc/],
    ["filesystem:write:/etc/cron.d/*", /\/etc/],
    ["env:read:OPENAI_API_KEY", /secret/],
    ["env:read:GITHUB_TOKEN", /secret/],
    ["env:read:CLIENT_SECRET_2", /secret/],
    ["env:read:PATH", /every run is refused/],
    ["env:read:OPENSENTIENCE_RUN_ID", /every run is refused/],
    ["env:read:LD_PRELOAD", /^High risk/],
    ["env:read:NODE_OPTIONS", /^High risk/],
    ["env:read:JAVA_TOOL_OPTIONS", /^High risk/],
    ["env:read:PYTHONSTARTUP", /^High risk/],
    ["env:read:BASH_ENV", /^High risk/],
    ["env:read:GIT_SSH_COMMAND", /^High risk/],
    ["tool:invoke:*/*", /other agents/],
    ["clipboard:read", /does not know/],
    ["filesystem:read:relative/path", /grants nothing; write an absolute path/],
    ["network:egress:https://example.com", /write a host alone/],
    ["nonsense", /does not follow/],
  ])("%s carries a warning", (permission, risk) => {
    expect(describePermission(permission).risk).toMatch(risk);
  });

  test.each([
    ["network:egress:10.0.0.5", /reaches nothing .* network:egress:10\.0\.0\.5:8080\.$/],
    ["network:egress:localhost", /reaches nothing/],
    ["network:egress:100.64.0.1", /reaches nothing/],
    ["network:egress:[::1]", /reaches nothing .* network:egress:\[::1\]:8080\.$/],
    ["network:egress:printer.local", /reaches nothing/],
    ["network:egress:*.local:631", /reaches nothing .* network:egress:name\.local:631\.$/],
    ["network:egress:10.0.0.5:5432", /^It reaches services/],
    ["network:egress:100.63.0.1", null],
    ["network:egress:example.com", null],
  ])("%s: what is near is reached by name and port only", (permission, risk) => {
    if (risk === null) expect(describePermission(permission).risk).toBeNull();
    else expect(describePermission(permission).risk).toMatch(risk);
  });

  test.each([
    "env:read:KEYBOARD_NAME",
    "env:read:MONKEY",
    "filesystem:read:/srv/data/*",
    "filesystem:read:/proc/meminfo",
    "filesystem:read:/proc/self/status",
    "filesystem:read:/sys/class/thermal/**",
  ])("%s carries none", (permission) => {
    expect(describePermission(permission).risk).toBeNull();
  });

  test("quotes nothing that could act on a terminal", () => {
    const { meaning } = describePermission(`\u001b[2J\u202e${"x".repeat(5000)}`);
    expect(meaning).not.toMatch(/[\u001b\u202e]/);
    expect(meaning.length).toBeLessThan(120);
  });
});

describe("enforcementOf", () => {
  const held = { filesystem: "enforced", egress: "brokered", tools: "advisory" } as const;
  test.each([
    ["filesystem:read:/a", "enforced"],
    ["filesystem:write:~/a/**", "enforced"],
    ["network:egress:*", "brokered"],
    ["env:read:LANG", "brokered"],
    ["tool:invoke:*/*", "advisory"],
    ["event:publish:a", "advisory"],
    ["event:subscribe:a", "advisory"],
    ["database:rw:notes", "advisory"],
    ["clipboard:read", "unsupported"],
    ["filesystem:delete:/a", "unsupported"],
    ["filesystem:read:~/x/../../etc", "unsupported"],
    ["nonsense", "unsupported"],
  ])("%s is %s", (permission, expected) => {
    expect(enforcementOf(permission, held)).toBe(expected);
  });
});

describe("matchesTool", () => {
  test("either half may be a wildcard, and nothing else is", () => {
    expect(matchesTool("*/*", "com.a.b/search")).toBe(true);
    expect(matchesTool("com.a.b/*", "com.a.b/search")).toBe(true);
    expect(matchesTool("*/search", "com.a.b/search")).toBe(true);
    for (const pattern of [
      "com.a.b",
      "com.a.*/search",
      "com.a.b/sea*",
      "com.a.b/search/x",
      "/",
      "com.a.c/*",
      "*/find",
    ]) {
      expect(matchesTool(pattern, "com.a.b/search")).toBe(false);
    }
    expect(matchesTool("*/*", "*/*")).toBe(false);
    expect(matchesTool("com.a.b/*", "com.a.b/x/../../com.c.d/y")).toBe(false);
  });
});
