import { describe, expect, test } from "vitest";
import { manifestJsonSchema, parseManifest } from "./manifest.ts";

const BASE = {
  id: "com.example.notes",
  name: "Notes",
  version: "1.2.3-beta.1+build",
  description: "Finds notes.",
  source: { git_url: "https://example.com/notes.git" },
  entrypoint: { type: "command", value: "./bin/agent" },
  permissions: ["filesystem:read:~/Notes/**"],
  capabilities: ["tools"],
};

function problems(change: Record<string, unknown>): string[] {
  const parsed = parseManifest({ ...BASE, ...change });
  return parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path}: ${message}`);
}

describe("parseManifest", () => {
  test("fills in the version, the arguments and the canonical permissions", () => {
    const parsed = parseManifest({ ...BASE, permissions: ["b:c ", "a:b", "", "a:b"] });
    expect(parsed).toEqual({
      ok: true,
      manifest: {
        ...BASE,
        manifest_version: 1,
        entrypoint: { ...BASE.entrypoint, args: [] },
        permissions: ["a:b", "b:c"],
      },
      unknownFields: [],
    });
    const release = parseManifest({ ...BASE, entrypoint: { type: "release", value: "bin/notes" } });
    expect(release).toMatchObject({ manifest: { entrypoint: { args: ["start"] } } });
  });

  test("accepts every field of version 1", () => {
    const full = {
      $schema: "./opensentience.agent.schema.json",
      manifest_version: 1,
      keywords: ["notes"],
      integration_points: ["calendar"],
      tool_summary: ["search", { name: "add", description: "Adds a note." }],
      homepage_url: "http://example.com",
      repository_url: "https://example.com/r",
      docs_url: "https://example.com/d",
      publisher: { name: "Ada", contact: { email: "ada@example.com" } },
      resources: { cpu: { limit: "200m" }, memory: { limit: "256Mi" }, disk: { limit: 1024 } },
      execution_limits: { max_tool_call_duration: "15s", max_concurrent_calls: 3, rate_limit: "60/minute" },
      build: {
        steps: [
          { phase: "fetch", argv: ["npm", "ci"] },
          { phase: "compile", argv: ["sh", "-c", "a\nb"] },
        ],
      },
    };
    expect(problems(full)).toEqual([]);
    expect(parseManifest({ ...BASE, ...full })).toMatchObject({ unknownFields: [], manifest: full });
  });

  test("reports every problem at once, with what to write instead", () => {
    const parsed = parseManifest({});
    expect(parsed.ok).toBe(false);
    const paths = parsed.ok ? [] : parsed.problems.map(({ path }) => path);
    expect(paths.sort()).toEqual(Object.keys(BASE).sort());
    expect(parsed.ok ? [] : parsed.problems.every(({ message }) => message.startsWith("is missing; write "))).toBe(
      true,
    );
  });

  test.each([undefined, null, [], "x", 5])("refuses %j in place of an object", (value) => {
    expect(parseManifest(value)).toMatchObject({ ok: false, problems: [{ path: "manifest" }] });
  });

  test.each([
    ["manifest_version", 2],
    ["manifest_version", "1"],
    ["id", "notes"],
    ["id", "Com.example"],
    ["id", "com..example"],
    ["id", "com.-example"],
    ["id", "com.example-"],
    ["id", "com.example/../x"],
    ["id", `com.${"a".repeat(200)}`],
    ["name", ""],
    ["name", "a".repeat(201)],
    ["name", "Not\u202ees"],
    ["name", "No\u200btes"],
    ["name", "Notes\u001b[31m"],
    ["version", "1.0"],
    ["version", "v1.0.0"],
    ["version", "01.0.0"],
    ["description", "a".repeat(2001)],
    ["description", "one\ntwo"],
    ["source", "https://example.com"],
    ["permissions", "all"],
    ["permissions", Array.from({ length: 501 }, () => "a:b")],
    ["capabilities", [1]],
    ["keywords", null],
    ["publisher", { name: "x\u202e" }],
    ["tool_summary", [{ name: { deep: "\u0007" } }]],
    ["homepage_url", "a".repeat(2001)],
  ])("refuses %s %j", (field, value) => {
    expect(problems({ [field]: value }).map((problem) => problem.split(/[:[.]/)[0])).toEqual([field]);
  });

  test.each([
    ["command", "../bin/agent"],
    ["command", "/bin/sh"],
    ["command", "bin/../../x"],
    ["command", "./.."],
    ["command", "bin\\agent"],
    ["command", "bin/a\u0000b"],
    ["command", "sh -c"],
    ["command", "-x"],
    ["command", ".."],
    ["command", "bin/"],
    ["command", "bin//x"],
    ["command", ""],
    ["release", "/opt/x"],
    ["release", "../x"],
    ["release", "."],
    ["mix_task", "agent.run --flag"],
    ["mix_task", "Agent"],
    ["mix_task", "-e"],
  ])("refuses the entrypoint %s %j", (type, value) => {
    expect(problems({ entrypoint: { type, value } })).toEqual([expect.stringMatching(/^entrypoint\.value: .*write/)]);
  });

  test.each([
    ["command", "node"],
    ["command", "./agent"],
    ["command", "bin/agent v2"],
    ["release", "bin/notes"],
    ["release", "notes"],
    ["mix_task", "agent.run"],
  ])("accepts the entrypoint %s %j", (type, value) => {
    expect(problems({ entrypoint: { type, value } })).toEqual([]);
  });

  test("names wrong places inside nested fields", () => {
    expect(problems({ entrypoint: { type: "shell", value: "x" } })[0]).toMatch(/^entrypoint\.type: .*"mix_task"/);
    expect(problems({ entrypoint: { type: "command", value: "x", args: "y" } })[0]).toMatch(/^entrypoint\.args: /);
    expect(problems({ entrypoint: { type: "command", value: "x", args: ["a\u0000"] } })[0]).toMatch(/args\[0\]: /);
    expect(problems({ permissions: ["a:b", "oops"] })[0]).toMatch(/^permissions\[1\]: "oops" .*domain:action:pattern/);
    expect(problems({ build: { steps: [{ phase: "run", argv: [] }] } })).toEqual([
      expect.stringMatching(/^build\.steps\[0\]\.phase: /),
      expect.stringMatching(/^build\.steps\[0\]\.argv: /),
    ]);
    expect(problems({ build: { steps: [{ phase: "fetch", argv: ["a\u0000b"] }] } })).toHaveLength(1);
    expect(problems({ resources: { memory: { limit: "lots" } } })[0]).toMatch(/^resources\.memory\.limit: .*256Mi/);
    expect(problems({ execution_limits: { rate_limit: "fast" } })[0]).toMatch(/60\/minute/);
  });

  test("tolerates fields it does not know, keeps them and names them", () => {
    const parsed = parseManifest({
      ...BASE,
      "future\u001b[2J": 1,
      source: { ...BASE.source, mirror: "x" },
      resources: { gpu: 1 },
    });
    expect(parsed).toMatchObject({
      ok: true,
      unknownFields: ["future[2J", "source.mirror", "resources.gpu"],
      manifest: { "future\u001b[2J": 1 },
    });
  });

  test("never quotes more than 80 visible characters of what it refuses", () => {
    for (const problem of problems({ id: `\u001b]0;x\u0007${"Z".repeat(190)}`, permissions: ["Z".repeat(9000)] })) {
      expect(problem).not.toMatch(/Z{81}|[\u0000-\u001f]/);
    }
    expect(problems({ version: "9".repeat(100_000) })).toEqual(["version: is over 100 characters; shorten it"]);
  });

  test("stays quick and short on hostile values of 256 KiB", () => {
    const started = performance.now();
    for (const change of [
      { permissions: Array.from({ length: 500 }, () => "x".repeat(500)) },
      { entrypoint: { type: "command", value: "x", args: Array.from({ length: 60_000 }, () => 1) } },
      { id: "a-".repeat(100_000) },
      { publisher: { name: "\u200b".repeat(80_000) } },
      { source: Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`k${at}`, 1])) },
    ]) {
      expect(problems(change).length).toBeLessThanOrEqual(101);
    }
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe("manifestJsonSchema", () => {
  /** JSON in the layout of the formatter: lists of plain values on one line. */
  function published(schema: object): string {
    const text = JSON.stringify(schema, null, 2);
    return `${text.replace(/\[\n\s+([^[\]{}]*?)\n\s+\]/g, (_, list: string) => `[${list.replace(/\n\s+/g, " ")}]`)}\n`;
  }

  test("is what the package publishes; `npx vitest run packages/protocol/src/manifest.test.ts -u` rewrites it", async () => {
    await expect(published(manifestJsonSchema())).toMatchFileSnapshot("../opensentience.agent.schema.json");
  });

  test("names itself and asks for the required fields", () => {
    expect(manifestJsonSchema()).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      $id: "opensentience.agent.schema.json",
      required: ["id", "name", "version", "description", "source", "entrypoint", "permissions", "capabilities"],
    });
  });
});
