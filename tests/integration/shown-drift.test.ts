/** What `agents diff` shows of a drift: of nested values which one, of very many files how many. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentDiffJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

test("the diff says of a nested value which one changed, from what and to what", async () => {
  const id = "com.example.diffnested";
  const resources = { memory: { limit: "64Mi" }, disk: { limit: "1Gi" } };
  await smallAgentAt(home, id, "enabled", { resources, publisher: { name: "Ada" } });
  const changes = {
    resources: { memory: { limit: "128Mi" }, disk: { limit: "1Gi" }, cpu: { limit: "200m" } },
    publisher: Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`key${at}`, ""])),
  };
  writeFileSync(join(home.sourceOf(id), MANIFEST), manifestText(id, changes));
  const lines = (await home.cli(["agents", "diff", id])).stdout.split("\n");
  for (const line of [
    "  ~ resources.memory.limit: 64Mi -> 128Mi",
    "  ~ resources.cpu.limit: (none) -> 200m",
    "  ~ publisher.name: Ada -> (none)",
    '  ~ publisher.key0: (none) -> ""',
    "  … and 13 more fields",
  ])
    expect(lines).toContain(line);
  expect(lines.join("\n")).not.toMatch(/resources\.disk|[{}]/);
});

test("of very many files the diff shows the first, and counts all others", async () => {
  const id = "com.example.diffmany";
  await smallAgentAt(home, id, "enabled", {}, { "a.txt": "a\n" });
  const source = home.sourceOf(id);
  for (let at = 0; at < 300; at += 1) writeFileSync(join(source, `new${String(at).padStart(3, "0")}`), "");
  writeFileSync(join(source, "a.txt"), "A\n");
  const lines = (await home.cli(["agents", "diff", id])).stdout.trimEnd().split("\n");
  expect(lines.filter((line) => / file /.test(line))).toHaveLength(20);
  expect(lines.at(-1)).toBe("  … and 281 more files");
  const { files } = (await home.json<AgentDiffJson>(["agents", "diff", id])).drift?.diff ?? {};
  expect(files?.added.slice(48)).toEqual(["new048", "new049", "… and 250 more"]);
  expect(files?.changed).toEqual(["a.txt"]);
});
