import { describe, expect, test } from "vitest";
import { parseTarget } from "./target.ts";

describe("every spelling of a host is the same host", () => {
  test.each([
    ["example.com:443", "example.com", 443],
    ["EXAMPLE.com.:443", "example.com", 443],
    ["example.com", "example.com", 80],
    ["b\u00fccher.example", "xn--bcher-kva.example", 80],
    ["xn--bcher-kva.example", "xn--bcher-kva.example", 80],
    ["127.0.0.1:1", "127.0.0.1", 1],
    ["0x7f.1", "127.0.0.1", 80],
    ["2130706433", "127.0.0.1", 80],
    ["0177.0.0.01", "127.0.0.1", 80],
    ["0x7f000001.", "127.0.0.1", 80],
    ["127.1", "127.0.0.1", 80],
    // Fullwidth digits and the ideographic full stop.
    ["\uff11\uff12\uff17\u30020.0.1", "127.0.0.1", 80],
    ["[::1]:80", "[::1]", 80],
    ["[0:0::0001]", "[::1]", 80],
    ["[::FFFF:127.0.0.1]", "[::ffff:7f00:1]", 80],
  ])("%s", (authority, host, port) => {
    expect(parseTarget(authority, 80)).toEqual({ host, port });
  });
});

test.each([
  "",
  ":80",
  "example.com:",
  "example.com:0",
  "example.com:65536",
  "example.com:443:443",
  "example.com:+80",
  "example.com: 80",
  "user@example.com",
  "user:password@example.com:80",
  "example.com@127.0.0.1",
  "exa%6dple.com",
  "[fe80::1%eth0]:80",
  "[fe80::1%25eth0]:80",
  "::1",
  "[::1",
  "[::1]x",
  "[::1.2.3.4.5]",
  "1.2.3.4.5",
  "256.256.256.256",
  "0x100000000",
  "example..com",
  "-example.com",
  "example.com/path",
  "example.com\\@evil.example",
  "example.com#@evil.example",
  "exa\u00admple.com\u0000",
  `${"a".repeat(64)}.example`,
  `${"a.".repeat(127)}toolong`,
])("%j is no host", (authority) => {
  expect(parseTarget(authority, 80)).toBeUndefined();
});

test("CONNECT has to name its port", () => {
  expect(parseTarget("example.com", undefined)).toBeUndefined();
  expect(parseTarget("example.com:443", undefined)).toEqual({ host: "example.com", port: 443 });
});
