import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { type GitUrlRules, isCommitId, parseGitUrl, parseRef } from "./git-url.ts";

const ALL: GitUrlRules = { allowSsh: true, allowLocal: true };
const NONE: GitUrlRules = { allowSsh: false, allowLocal: false };

function refusal(parse: () => unknown): CoreError {
  try {
    parse();
  } catch (error) {
    if (error instanceof CoreError) return error;
  }
  throw new Error("was not refused");
}
const codeOf = (text: string, rules: GitUrlRules = ALL) => refusal(() => parseGitUrl(text, rules)).code;

describe("parseGitUrl", () => {
  test.each([
    "https://example.com/agents/echo.git",
    "https://git.example.com:8443/a/b",
    "https://[2001:db8::1]:8443/a",
    "https://example.com/~user/with%20space/a@b",
  ])("takes %s always", (text) => {
    expect(parseGitUrl(text, NONE)).toEqual({ kind: "https", text });
  });

  test.each([
    "ssh://git@example.com:22/a/b.git",
    "ssh://example.com/a",
    "git@example.com:a/b.git",
    "example.com:/srv/a.git",
  ])("takes %s only when ssh is allowed", (text) => {
    expect(parseGitUrl(text, { allowSsh: true, allowLocal: false })).toEqual({ kind: "ssh", text });
    const error = refusal(() => parseGitUrl(text, { allowSsh: false, allowLocal: true }));
    expect(error.code).toBe("install.url_not_allowed");
    expect(error.nextStep).toContain("install.allow_ssh");
  });

  test("takes local folders only when allowed, and turns a path into a file:// URL", () => {
    expect(parseGitUrl("file:///srv/a.git", ALL)).toEqual({ kind: "local", text: "file:///srv/a.git" });
    expect(parseGitUrl("/srv/100%/é", ALL)).toEqual({ kind: "local", text: "file:///srv/100%25/%C3%A9" });
    for (const text of ["/srv/a.git", "file:///srv/a.git"]) {
      const error = refusal(() => parseGitUrl(text, { allowSsh: true, allowLocal: false }));
      expect(error.code).toBe("install.url_not_allowed");
      expect(error.nextStep).toContain("--allow-local");
    }
  });

  test.each([
    "--upload-pack=touch /tmp/x",
    "-u",
    "--upload-pack=touch",
    "https://-oProxyCommand=x/a",
    "ssh://-oProxyCommand=x/a",
    "-oProxyCommand=x:a",
    "git@-oProxyCommand=x:a",
    "host:-x",
  ])("refuses what git could take for an option: %s", (text) => {
    expect(codeOf(text)).toBe("install.invalid_url");
  });

  test.each(["ext::sh -c touch% /tmp/x", "ext::sh", "fd::17", "foo::https://example.com/a", "EXT::sh", "::x"])(
    "refuses every x:: transport: %s",
    (text) => {
      expect(["install.url_not_allowed", "install.invalid_url"]).toContain(codeOf(text));
    },
  );

  test.each([
    "http://example.com/a",
    "git://example.com/a",
    "ftp://example.com/a",
    "HTTPS://example.com/a",
    "ext://x/y",
  ])("refuses the scheme of %s", (text) => {
    expect(codeOf(text)).toBe("install.url_not_allowed");
  });

  test("says to use https for plain http", () => {
    expect(refusal(() => parseGitUrl("http://example.com/a", ALL)).message).toContain("https://");
  });

  test.each([
    "https://user:hunter2secret@example.com/a",
    "https://hunter2secret@example.com/a",
    "http://hunter2secret@example.com/a",
    "ssh://git:hunter2secret@example.com/a",
    "git:hunter2secret@example.com:a/b",
  ])("refuses credentials and never echoes them: %s", (text) => {
    const error = refusal(() => parseGitUrl(text, ALL));
    expect(error.code).toBe("install.credentials_in_url");
    expect(JSON.stringify([error.message, error.details, error.nextStep])).not.toContain("hunter2");
  });

  test.each([
    "",
    "a".repeat(3_000),
    "relative/path",
    "https://example.com",
    "https://example.com/",
    "https:///a",
    "https://exa mple.com/a",
    "https://example.com/a\n[core]",
    "https://example.com/a\u0000b",
    "https://example.com/a\u200bb",
    "https://example.com/a?token=x",
    "https://example.com/a#x",
    "https://example.com:0/a",
    "https://example.com:65536/a",
    "https://example.com:/a",
    "https://example.com:80x/a",
    "https://exa_mple!.com/a",
    "https://example.com/a%0ab",
    "https://example.com/a%00",
    "https://example.com/a%zz",
    "https://example.com/../a",
    "https://example.com/a/%2e%2e/b",
    "https://example.com/é",
    "file://host/a",
    "file:///a/../b",
    "/srv/../etc",
    "host:a;b",
    "host:$(touch x)",
    "https://good.example\\@evil.example/a",
  ])("refuses %j as invalid", (text) => {
    expect(codeOf(text)).toBe("install.invalid_url");
  });
});

describe("parseRef", () => {
  test.each([
    "main",
    "v1.2.3",
    "feature/a-b",
    "refs/heads/main",
    "refs/tags/v1",
    "0123456",
    "a".repeat(200),
    "umlaut-ü",
  ])("takes %s", (text) => {
    expect(parseRef(text)).toBe(text);
  });

  test.each([
    "",
    "-x",
    "--upload-pack=touch /tmp/x",
    "a".repeat(201),
    "a b",
    "a\nb",
    "a\u0000",
    "a..b",
    "a~1",
    "a^{commit}",
    "a:b",
    "a?",
    "a*",
    "a[b",
    "a\\b",
    "a@{1}",
    "@",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "a.",
  ])("refuses %j", (text) => {
    expect(refusal(() => parseRef(text)).code).toBe("install.invalid_ref");
  });

  test("knows a whole commit id", () => {
    expect(isCommitId("a".repeat(40))).toBe(true);
    expect(isCommitId("a".repeat(64))).toBe(true);
    expect(isCommitId("a".repeat(39))).toBe(false);
    expect(isCommitId("A".repeat(40))).toBe(false);
  });
});
