import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";
import { namingOf, permittedAddresses } from "./policy.ts";
import { parseTarget, type Target } from "./target.ts";

const CORE_PORT = 6767;

/** The addresses that may be connected to, or the code of the refusal. */
function decided(pattern: string, authority: string, resolved: string[] = [], reservedToo = false): string[] | string {
  const target = parseTarget(authority, 443) as Target;
  const addresses = resolved.length > 0 ? resolved : [target.host.replaceAll(/[[\]]/g, "")];
  try {
    return permittedAddresses(target, addresses, namingOf(target, [pattern]), { corePorts: [CORE_PORT], reservedToo });
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test.each([
  ["*", "example.com", ["93.184.215.14"]],
  ["*:443", "example.com", ["2606:4700::1111"]],
  ["*.example.com", "a.example.com", ["93.184.215.14"]],
  ["8.8.8.8", "8.8.8.8", ["8.8.8.8"]],
  ["127.0.0.1:443", "0x7f.1", ["127.0.0.1"]],
  ["[::1]:443", "[::1]", ["::1"]],
  ["169.254.169.254:443", "169.254.169.254", ["169.254.169.254"]],
  ["localhost:443", "localhost", ["127.0.0.1", "::1"]],
  ["git.corp.example:443", "git.corp.example", ["10.1.2.3", "fd12::1"]],
])("%s reaches %s at %j", (pattern, authority, addresses) => {
  expect(decided(pattern, authority, addresses)).toEqual(addresses);
});

test.each([
  ["example.com", "example.org"],
  ["example.com", "a.example.com"],
  ["*.example.com", "evilexample.com"],
  ["example.com:443", "example.com:444"],
  ["127.0.0.1:443", "[::ffff:127.0.0.1]"],
  ["127.0.0.1:443", "localhost"],
  ["https://example.com", "example.com"],
  ["", "example.com"],
])("%s does not cover %s", (pattern, authority) => {
  expect(decided(pattern, authority)).toBe("egress.not_approved");
});

describe("a name that resolves to a private address", () => {
  test.each([
    ["*", "10.0.0.1"],
    ["*:443", "127.0.0.1"],
    ["rebound.example", "192.168.1.1"],
    ["*.example", "fd00::9"],
    ["*.example:443", "fd00::9"],
    ["rebound.example:443", "127.0.0.1"],
    ["rebound.example:443", "::ffff:127.0.0.1"],
    ["rebound.example:443", "169.254.169.254"],
    ["rebound.example:443", "0.0.0.0"],
    ["rebound.example:443", "64:ff9b::7f00:1"],
    ["rebound.example:443", "2002:7f00:1::"],
    ["rebound.example:443", "224.0.0.1"],
    ["rebound.example:443", "fe80::1"],
  ])("is refused: %s at %s", (pattern, address) => {
    expect(decided(pattern, "rebound.example", [address])).toBe("egress.private_address");
  });

  test("is connected to by its other addresses only", () => {
    expect(decided("*", "rebound.example", ["127.0.0.1", "8.8.8.8", "10.0.0.1"])).toEqual(["8.8.8.8"]);
  });
});

test("a private address without a port is not named", () => {
  expect(decided("127.0.0.1", "127.0.0.1")).toBe("egress.private_address");
  expect(decided("192.168.1.5", "192.168.1.5")).toBe("egress.private_address");
  expect(decided("localhost", "localhost", ["127.0.0.1"])).toBe("egress.private_address");
});

test("what is set apart for tests counts as public where that was said, and nothing else does", () => {
  const addresses = [
    "203.0.113.8",
    "198.18.0.5",
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "64:ff9b:1::a00:1",
    "::2",
  ];
  expect(decided("*", "build.example", addresses, true)).toEqual(["203.0.113.8", "198.18.0.5"]);
  expect(decided("*", "build.example", ["198.18.0.5"])).toBe("egress.private_address");
});

test("an own address is not reached by a name", () => {
  const own = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []);
  for (const address of own) expect(decided("me.example:443", "me.example", [address])).toBe("egress.private_address");
});

test("Core's own port is nobody's, however it is named", () => {
  expect(decided(`127.0.0.1:${CORE_PORT}`, `127.0.0.1:${CORE_PORT}`)).toBe("egress.core_port");
  expect(decided(`127.8.8.8:${CORE_PORT}`, `127.8.8.8:${CORE_PORT}`)).toBe("egress.core_port");
  expect(decided(`[::1]:${CORE_PORT}`, `[::1]:${CORE_PORT}`)).toBe("egress.core_port");
  expect(decided(`0.0.0.0:${CORE_PORT}`, `0.0.0.0:${CORE_PORT}`)).toBe("egress.core_port");
  expect(decided(`localhost:${CORE_PORT}`, `localhost:${CORE_PORT}`, ["127.0.0.1"])).toBe("egress.core_port");
  expect(decided("*", `core.example:${CORE_PORT}`, ["::ffff:127.0.0.1"])).toBe("egress.core_port");
  expect(decided("*", `core.example:${CORE_PORT}`, ["8.8.8.8"])).toEqual(["8.8.8.8"]);
});
