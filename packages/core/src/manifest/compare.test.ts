import { type Manifest, parseManifest } from "@opensentience/protocol";
import { describe, expect, test } from "vitest";
import { diffManifests, isNarrowing } from "./compare.ts";

function manifest(change: Record<string, unknown> = {}): Manifest {
  const parsed = parseManifest({
    id: "com.example.notes",
    name: "Notes",
    version: "1.0.0",
    description: "Finds notes.",
    source: { git_url: "https://example.com/notes.git" },
    entrypoint: { type: "command", value: "./bin/agent" },
    permissions: ["filesystem:read:~/Notes/**", "env:read:LANG"],
    capabilities: ["tools"],
    ...change,
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.manifest;
}

const NARROWED = { permissions: ["filesystem:read:~/Notes/open/**"] };

describe("diffManifests", () => {
  test("finds nothing where only the spelling differs", () => {
    const other = manifest({ permissions: ["env:read:LANG", " filesystem:read:~/Notes/**"], manifest_version: 1 });
    expect(diffManifests(manifest({ publisher: { a: 1, b: 2 } }), { ...other, publisher: { b: 2, a: 1 } })).toEqual({
      permissions: { added: [], removed: [], widened: [], narrowed: [] },
      entrypoint: null,
      fields: [],
      isDisplayOnly: true,
    });
  });

  test("names what moved in permissions, entrypoint and other fields", () => {
    const after = manifest({
      ...NARROWED,
      entrypoint: { type: "command", value: "node", args: ["x y"] },
      description: "d".repeat(500),
      keywords: ["k"],
    });
    expect(diffManifests(manifest(), after)).toEqual({
      permissions: {
        added: [],
        removed: ["env:read:LANG"],
        widened: [],
        narrowed: [{ from: "filesystem:read:~/Notes/**", to: "filesystem:read:~/Notes/open/**" }],
      },
      entrypoint: { from: "command ./bin/agent", to: 'command node "x y"' },
      fields: [
        { field: "description", from: "Finds notes.", to: `${"d".repeat(119)}…` },
        { field: "keywords", from: "", to: '["k"]' },
      ],
      isDisplayOnly: true,
    });
  });

  const fieldsOf = (before: Record<string, unknown>, after: Record<string, unknown>): string[] =>
    diffManifests(manifest(before), manifest(after)).fields.map(({ field, from, to }) => `${field}: ${from} -> ${to}`);

  test("names each value that differs by its place", () => {
    const before = {
      resources: { memory: { limit: "64Mi" }, cpu: { limit: "200m" } },
      source: { git_url: "https://a" },
    };
    const after = { resources: { memory: { limit: "128Mi" }, disk: { limit: "1Gi" }, cpu: { limit: "200m" } } };
    expect(fieldsOf(before, { ...after, source: { git_url: "https://a", ref: "v1" } })).toEqual([
      "source.ref:  -> v1",
      "resources.memory.limit: 64Mi -> 128Mi",
      "resources.disk.limit:  -> 1Gi",
    ]);
    expect(fieldsOf({ resources: after.resources }, {})).toEqual([
      "resources.cpu.limit: 200m -> ",
      "resources.memory.limit: 128Mi -> ",
      "resources.disk.limit: 1Gi -> ",
    ]);
  });

  test.each<[unknown, unknown, string[]]>([
    [{ a: [1, 2] }, { a: [1, 3] }, ["x.a: [1,2] -> [1,3]"]],
    [[{ name: "s" }], [{ name: "t" }, { name: "u" }], ["x[0].name: s -> t", "x[1].name:  -> u"]],
    [{ "a.b": 1, "": 2 }, { "a.b": 2, "": 2 }, ['x["a.b"]: 1 -> 2']],
    [{}, undefined, ["x: {} -> "]],
    [{ a: 1 }, "text", ['x: {"a":1} -> text']],
    [{ a: 1 }, [{ a: 1 }], ['x: {"a":1} -> [{"a":1}]']],
    [{ a: {} }, { a: { b: null } }, ["x.a.b:  -> null"]],
    [{ a: null }, { a: { b: 1 } }, ['x.a: null -> {"b":1}']],
    [{ a: {} }, {}, ["x.a: {} -> "]],
    [[{}], [], ["x[0]: {} -> "]],
    [undefined, "", ['x:  -> ""']],
    [{ __proto__: null, a: 1 }, { a: 2 }, ["x.a: 1 -> 2"]],
    [["a".repeat(70), "b".repeat(70)], ["a".repeat(70), "c"], [`x[1]: ${"b".repeat(70)} -> c`]],
  ])("of %j and %j it says what differs: nothing is lost", (from, to, lines) => {
    const value = (x: unknown): Record<string, unknown> => (x === undefined ? {} : { x });
    expect(fieldsOf(value(from), value(to))).toEqual(lines);
  });

  test("many members of one field hide no other", () => {
    const members = (value: string): object =>
      Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`key${at}`, value]));
    const state = (value: string): Record<string, unknown> => ({
      publisher: members(value),
      resources: { memory: { limit: `${value}Mi` } },
      future: members(value),
      source: { git_url: `https://example.com/${value}` },
    });
    const lines = fieldsOf(state("1"), state("2"));
    expect(lines).toHaveLength(51);
    expect(lines).toContain("resources.memory.limit: 1Mi -> 2Mi");
    expect(lines).toContain("source.git_url: https://example.com/1 -> https://example.com/2");
    expect(lines.at(-1)).toMatch(/^952 more fields/);
  });

  test("a diff never shows a login of an address", () => {
    const after = manifest({ source: { git_url: "https://ada:hunter2@example.com/notes.git" } });
    const text = JSON.stringify(diffManifests(manifest(), after));
    expect(text).not.toMatch(/hunter2/);
    expect(text).toMatch(/example\.com/);
  });

  test("shows texts of unknown fields without hidden characters, and only so many", () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`k${at}\u202e`, "x\u001b[2J"]));
    const { fields } = diffManifests(manifest(), manifest(many));
    expect(fields).toHaveLength(51);
    expect(JSON.stringify(fields)).not.toMatch(/\u202e|\\u001b/);
  });
});

describe("isNarrowing", () => {
  const narrows = (change: Record<string, unknown>): boolean =>
    isNarrowing(diffManifests(manifest(), manifest({ ...NARROWED, ...change })));

  test("holds for dropped and narrowed permissions, also with new texts for display", () => {
    expect(narrows({})).toBe(true);
    expect(narrows({ permissions: [] })).toBe(true);
    expect(narrows({ version: "1.0.1", description: "New.", keywords: ["x"], docs_url: "https://example.com" })).toBe(
      true,
    );
    expect(narrows({ tool_summary: [{ name: "search" }] })).toBe(true);
  });

  test.each([
    { permissions: ["filesystem:read:~/**"] },
    { permissions: ["filesystem:read:~/Notes/open/**", "network:egress:example.com"] },
    { permissions: ["filesystem:write:~/Notes/open/**"] },
    { entrypoint: { type: "command", value: "./bin/other" } },
    { entrypoint: { type: "command", value: "./bin/agent", args: ["--all"] } },
    { build: { steps: [] } },
    { source: { git_url: "https://example.org/notes.git" } },
    { name: "Your bank" },
    { publisher: { name: "Somebody else" } },
    { capabilities: [] },
    { resources: { memory: { limit: "64Mi" } } },
    { future: 1 },
    { "description.more": "an unknown key" },
    { description: "x", future: { version: 1 } },
  ])("does not hold for %j", (change) => {
    expect(narrows(change)).toBe(false);
  });

  test("does not hold where more changed than is shown, whatever it is", () => {
    const tools = (count: number): object[] => Array.from({ length: count }, (_, at) => ({ name: `tool${at}` }));
    expect([narrows({ tool_summary: tools(50) }), narrows({ tool_summary: tools(51) })]).toEqual([true, false]);
  });

  test("a manifest in which no permission was given up is no narrowing", () => {
    expect(isNarrowing(diffManifests(manifest(), manifest({ version: "1.0.1" })))).toBe(false);
  });
});
