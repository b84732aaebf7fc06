import { describe, expect, test } from "vitest";
import { matchesHost } from "./host-pattern.ts";

describe("matchesHost", () => {
  test.each([
    ["example.com", "example.com", 80],
    ["Example.COM.", "example.com", 443],
    ["example.com:443", "EXAMPLE.com.", 443],
    ["*", "example.com", 22],
    ["*", "::1", 22],
    ["*:443", "example.com", 443],
    ["*.example.com", "a.example.com", 1],
    ["*.example.com", "a.b.example.com", 1],
    ["127.0.0.1", "0x7f.1", 1],
    ["2130706433", "127.0.0.1", 1],
    ["[::1]:80", "0:0:0:0:0:0:0:1", 80],
    ["::1", "[::1]", 80],
  ])("%s covers %s port %i", (pattern, host, port) => {
    expect(matchesHost(pattern, host, port)).toBe(true);
  });

  test.each([
    ["example.com", "a.example.com", 80],
    ["example.com:443", "example.com", 80],
    ["*:443", "example.com", 80],
    ["example.com:0443", "example.com", 443],
    ["example.com:99999", "example.com", 99999],
    ["example.com:*", "example.com", 443],
    ["https://example.com", "example.com", 443],
    ["user@example.com", "example.com", 443],
    ["ex*mple.com", "example.com", 443],
    ["exämple.com", "example.com", 443],
    ["*", "exa mple.com", 443],
    ["*", "", 443],
    ["127.0.0.1", "::ffff:127.0.0.1", 80],
    ["", "example.com", 80],
  ])("%s does not cover %s port %i", (pattern, host, port) => {
    expect(matchesHost(pattern, host, port)).toBe(false);
  });

  test("a host wildcard covers whole labels only", () => {
    for (const host of ["example.com", "evilexample.com", "example.com.evil.org", ".example.com", "[::1]"]) {
      expect(matchesHost("*.example.com", host, 443)).toBe(false);
    }
    expect(matchesHost("*.0.0.1", "127.0.0.1", 80)).toBe(false);
    expect(matchesHost("*.*.example.com", "a.b.example.com", 80)).toBe(false);
  });
});
