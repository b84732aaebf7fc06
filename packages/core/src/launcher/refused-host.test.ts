import { CoreError } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { Egress } from "../egress/egress.ts";
import { refusedHostNote } from "./refused-host.ts";

const CORE_PORT = 6767;
const AGENT = "com.example.asks";
const egress = new Egress({ audit: undefined as never, corePorts: [CORE_PORT], onFault: () => {} });

function note(requested: string[], host: string, port: number, code = "egress.not_approved", message = "m"): string {
  const permissions = requested.map((pattern) => `network:egress:${pattern}`);
  return refusedHostNote({ code, message, target: { host, port } }, AGENT, permissions, egress);
}

test.each([
  [["*"], "example.com", 443, "*"],
  [["*.example.com", "*"], "example.com", 443, "*"],
  [["*", "*.example.com", "a.example.com:443"], "a.example.com", 443, "a.example.com:443"],
  [["*"], "8.8.8.8", 53, "*"],
  [["*", "127.0.0.1:6796"], "127.0.0.1", 6796, "127.0.0.1:6796"],
  [["*", "localhost:6796"], "localhost", 6796, "localhost:6796"],
  [["10.0.0.1", "10.0.0.1:80"], "10.0.0.1", 80, "10.0.0.1:80"],
])("of %j for %s:%i, what would let it through is advised: %s", (requested, host, port, advised) => {
  const advice = `approve network:egress:${advised} (opensentience agents enable ${AGENT})`;
  expect(note(requested, host, port)).toBe(`refused to connect to ${host}:${port}; ${advice}`);
});

test.each([
  [["*"], "127.0.0.1", 6796],
  [["*", "*:6796"], "[::1]", 6796],
  [["*"], "localhost", 6796],
  [["10.0.0.1"], "10.0.0.1", 80],
  [["*.example.com"], "example.org", 443],
])("of %j for %s:%i nothing would, so none is advised", (requested, host, port) => {
  const why = `its manifest does not ask for network:egress:${host}:${port}`;
  expect(note(requested, host, port)).toBe(`refused to connect to ${host}:${port}; ${why}`);
});

describe("an address that what is approved does not name", () => {
  const PRIVATE = "egress.private_address";

  test.each([
    ["192.168.1.5", 8080],
    ["[fd00::9]", 443],
    ["127.0.0.1", 6796],
    ["localhost", 6796],
  ])("of %s:%i the one permission is named that would let it through, requested or not", (host, port) => {
    const named = `network:egress:${host}:${port}`;
    const refused = `refused to connect to ${host}:${port}`;
    expect(egress.refusalOf({ host, port }, ["*", host])?.code).toBe(PRIVATE);
    expect(note(["*", host, `${host}:${port}`], host, port, PRIVATE)).toBe(
      `${refused}; approve ${named} (opensentience agents enable ${AGENT})`,
    );
    expect(note(["*", host], host, port, PRIVATE)).toBe(`${refused}; its manifest does not ask for ${named}`);
    // The advice is true.
    expect(egress.refusalOf({ host, port }, [`${host}:${port}`])).toBeUndefined();
  });

  test.each([
    ["169.254.169.254", 80],
    ["[fe80::1]", 80],
    ["[::ffff:a9fe:a9fe]", 80],
    ["224.0.0.1", 80],
    ["0.0.0.0", 80],
    ["192.0.2.1", 80],
    ["git.corp.example", 443],
  ])("no advice leads to the keys of a cloud machine, or by a name into a private network: %s:%i", (host, port) => {
    for (const requested of [["*"], ["*", host, `${host}:${port}`]])
      expect(note(requested, host, port, PRIVATE, "as it is")).toBe(`refused to connect to ${host}:${port}: as it is`);
  });

  test("where nothing covers a link-local address, it is not advised either", () => {
    expect(note(["169.254.169.254:80"], "169.254.169.254", 80)).toBe("refused to connect to 169.254.169.254:80: m");
  });
});

test("Core's own port is nobody's, requested or not approved", () => {
  const reason = (egress.refusalOf({ host: "127.0.0.1", port: CORE_PORT }, ["127.0.0.1:6767"]) as CoreError).message;
  for (const code of ["egress.not_approved", "egress.private_address"])
    for (const requested of [[], ["*"], ["127.0.0.1:6767"]])
      expect(note(requested, "127.0.0.1", CORE_PORT, code)).toBe(`refused to connect to 127.0.0.1:6767: ${reason}`);
});

test("what was approved and not reached is no refusal", () => {
  expect([
    note(["*"], "nowhere.example", 443, "egress.unresolved"),
    note(["*"], "example.com", 443, "egress.unreachable", "example.com:443 cannot be connected to"),
    note(["*"], "example.com", 443, "egress.unreachable", "example.com:443 was not waited for"),
    note(["*"], "example.com", 443, "egress.timeout", "example.com was not resolved within 9 ms"),
  ]).toEqual([
    "could not find nowhere.example",
    "could not connect to example.com:443",
    "could not connect to example.com:443 before the agent gave up",
    "could not connect to example.com:443: example.com was not resolved within 9 ms",
  ]);
});
