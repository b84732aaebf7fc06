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
    });
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
  ])("does not hold for %j", (change) => {
    expect(narrows(change)).toBe(false);
  });

  test("a manifest in which no permission was given up is no narrowing", () => {
    expect(isNarrowing(diffManifests(manifest(), manifest({ version: "1.0.1" })))).toBe(false);
  });
});
