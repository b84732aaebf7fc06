import { CoreError } from "@opensentience/protocol";
import { expect, test } from "vitest";
import { Egress } from "../egress/egress.ts";
import { refusedHostNote } from "./refused-host.ts";

const CORE_PORT = 6767;
const AGENT = "com.example.asks";
const egress = new Egress({ audit: undefined as never, corePorts: [CORE_PORT], onFault: () => {} });

function note(requested: string[], host: string, port: number, code = "egress.not_approved", message = "m"): string {
  const permissions = requested.map((pattern) => `network:egress:${pattern}`);
  return refusedHostNote({ code, message, target: { host, port } }, AGENT, permissions, (...asked) =>
    egress.refusalOf(...asked),
  );
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

test("Core's own port is nobody's, requested or not approved", () => {
  const reason = (egress.refusalOf({ host: "127.0.0.1", port: CORE_PORT }, ["127.0.0.1:6767"]) as CoreError).message;
  expect(note(["127.0.0.1:6767"], "127.0.0.1", CORE_PORT)).toBe(`refused to connect to 127.0.0.1:6767: ${reason}`);
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
