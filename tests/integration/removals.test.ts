/** Removing agents and forgetting them, through the command line: what goes, what stays, and where. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AgentDetailJson } from "@opensentience/protocol";
import { auditRows } from "../support/audit-rows.ts";
import { newHome, writeFiles, type CoreHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { MANIFEST, smallAgent, smallAgentAt } from "../support/small-agent.ts";

let home: CoreHome;

beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

describe("remove", () => {
  test("takes source, data and approval, keeps runs and events, and needs a confirmation", async () => {
    const id = "org.example.gone";
    await smallAgentAt(home, id, "running");
    await refuse(home, ["agents", "remove", id, "--yes"], { code: "install.running", exit: 6 });
    await home.json(["agents", "stop", id]);
    await refuse(home, ["agents", "remove", id], { code: "usage.confirmation_required", exit: 2 });
    expect(existsSync(join(home.folder, "agents", id, "src"))).toBe(true);
    const removed = await home.json<AgentDetailJson>(["agents", "remove", id, "--yes"]);
    expect(removed).toMatchObject({
      status: "local_uninstalled",
      install_path: null,
      source_commit: null,
      build_status: null,
    });
    expect(existsSync(join(home.folder, "agents", id))).toBe(false);
    expect((await home.json<{ items: unknown[] }>(["agents", "ps", "--all"])).items.length).toBeGreaterThan(0);
    expect(
      auditRows(home, "agent.removed")
        .filter((row) => row.subject === id)
        .map((row) => row.outcome),
    ).toEqual(["unknown", "ok"]);
    await refuse(home, ["agents", "run", id], { code: "install.not_installed", exit: 4 });
  });

  test("can leave the agent's data", async () => {
    const id = "org.example.keeps";
    await smallAgentAt(home, id, "running");
    const data = join(home.folder, "agents", id, "data");
    writeFileSync(join(data, "kept.txt"), "kept");
    await home.json(["agents", "stop", id]);
    const { stdout: said } = await home.cli(["agents", "remove", id, "--yes", "--keep-data"]);
    expect(readFileSync(join(data, "kept.txt"), "utf8")).toBe("kept");
    // The manifest went with the source; what is left is named, and that nothing of it is on disk.
    const shown = (await home.cli(["agents", "info", id])).stdout;
    for (const text of [said, shown]) expect(text.replaceAll(/ +/g, " ")).toContain(` kept data ${data}\n`);
    expect(shown).not.toContain(MANIFEST);
    expect((await home.cli(["agents", "list"])).stdout).toMatch(/org\.example\.keeps .*\(missing on disk\)/);
    expect(existsSync(join(home.folder, "agents", id, "src"))).toBe(false);

    // What is left is removed step by step, each said.
    await refuse(home, ["agents", "remove", id, "--yes", "--keep-data"], { code: "install.not_installed", exit: 4 });
    expect((await home.cli(["agents", "remove", id, "--yes"])).stdout).toMatch(/^removed the data that was kept\n/);
    expect(existsSync(join(home.folder, "agents", id))).toBe(false);
    const logs = join(home.folder, "logs", id);
    expect((await home.cli(["agents", "remove", id, "--yes"])).stdout).toBe(
      `forgotten: ${id}\n  its logs stay in ${logs}\n`,
    );
    expect(readdirSync(logs)).not.toEqual([]);
    await refuse(home, ["agents", "remove", id, "--yes"], { code: "agent.not_found", exit: 3 });
    const phases = auditRows(home, "agent.removed").filter(({ subject }) => subject === id);
    expect(phases.slice(2).map(({ outcome, metadata }) => [outcome, metadata["phase"]])).toEqual([
      ["unknown", "data intent"],
      ["ok", "data removed"],
      ["ok", "forgotten"],
    ]);
  });

  test("does not forget what the next scan would find, and forgets what is missing on disk", async () => {
    const id = "org.example.found";
    const folder = join(home.projects, "found");
    await writeFiles(folder, smallAgent(id));
    await home.json(["agents", "scan"]);
    const error = await refuse(home, ["agents", "remove", id, "--yes"], { code: "install.not_installed", exit: 4 });
    expect(error.message).toContain(folder);
    rmSync(folder, { recursive: true });
    await home.json(["agents", "scan"]);
    expect(await home.json(["agents", "remove", id, "--yes"])).toMatchObject({ removed: "entry" });
    await refuse(home, ["agents", "info", id], { code: "agent.not_found", exit: 3 });
  });

  test("forgets a folder that was run in place, though it is still there, where no scan comes", async () => {
    const id = "org.example.outside";
    const folder = mkdtempSync(join(tmpdir(), "os-dev-"));
    const missing = async (): Promise<string | null> =>
      (await home.json<AgentDetailJson>(["agents", "info", id])).missing_since;
    try {
      await writeFiles(folder, smallAgent(id));
      await home.json(["agents", "install", "--dev", folder]);
      await home.json(["agents", "scan"]);
      expect(await missing()).toBeNull();
      renameSync(folder, `${folder}.away`);
      await home.json(["agents", "scan"]);
      expect((await home.cli(["agents", "list"])).stdout).toMatch(/org\.example\.outside .*\(missing on disk\)/);
      renameSync(`${folder}.away`, folder);
      await home.json(["agents", "scan"]);
      expect(await missing()).toBeNull();
      expect(await home.json(["agents", "remove", id, "--yes"])).toMatchObject({ removed: "agent" });
      expect(await home.json(["agents", "remove", id, "--yes"])).toMatchObject({ removed: "entry" });
      await home.json(["agents", "scan"]);
      await refuse(home, ["agents", "info", id], { code: "agent.not_found", exit: 3 });
      expect(existsSync(join(folder, MANIFEST))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("does not forget one that a scan root finds by a link", async () => {
    const id = "org.example.linked";
    const real = mkdtempSync(join(tmpdir(), "os-root-"));
    const link = `${real}.link`;
    symlinkSync(real, link);
    const linked = await newHome({ env: { OPENSENTIENCE_SCAN_ROOTS: link } });
    try {
      await writeFiles(join(real, "one"), smallAgent(id));
      await linked.json(["agents", "scan"]);
      await refuse(linked, ["agents", "remove", id, "--yes"], { code: "install.not_installed", exit: 4 });
    } finally {
      await linked.dispose();
      rmSync(link);
      rmSync(real, { recursive: true, force: true });
    }
  });
});
