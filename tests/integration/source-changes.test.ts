/** Update, rollback and folders run in place, through the command line. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AgentDetailJson, RunJson } from "@opensentience/protocol";
import { auditRows } from "../support/audit-rows.ts";
import { eventually, gitRepository, newHome, writeFiles, type CoreHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { MANIFEST, manifestText, smallAgent, smallAgentAt } from "../support/small-agent.ts";
import { typeNextStep } from "../support/terminal.ts";

let home: CoreHome;

beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

const info = (id: string): Promise<AgentDetailJson> => home.json<AgentDetailJson>(["agents", "info", id]);

describe("update", () => {
  test("changes nothing at the newest commit, moves to a new one, and has to be built and approved again", async () => {
    const id = "org.example.update";
    const repository = await smallAgentAt(home, id, "enabled");
    const before = await info(id);
    expect(await home.json(["agents", "update", id, "--allow-local"])).toMatchObject({
      source_commit: before.source_commit,
      build_status: "built",
    });

    const next = await repository.commit({ [MANIFEST]: manifestText(id, { version: "1.1.0" }) });
    const moved = await home.json<AgentDetailJson>(["agents", "update", id, "--allow-local"]);
    expect(moved).toMatchObject({
      version: "1.1.0",
      source_commit: next,
      build_status: "not_built",
      next_step: `opensentience agents build ${id}`,
    });
    expect(moved.drift?.layers).toEqual(["manifest", "commit"]);
    await refuse(home, ["agents", "run", id], { code: "build.not_built", exit: 4 });
    await home.json(["agents", "build", id, "--yes"]);
    await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4 });
  });

  test("says whether it moved, and leaves a pinned commit only for another ref", async () => {
    const id = "org.example.pinned";
    const repository = await smallAgentAt(home, id, "built");
    const first = repository.head.slice(0, 12);
    const update = async (...options: string[]): Promise<string> =>
      (await home.cli(["agents", "update", id, "--allow-local", ...options])).stdout.split("\n")[0] ?? "";
    expect(await update()).toBe(`already at ${first}`);
    const second = await repository.commit({ [MANIFEST]: manifestText(id, { version: "1.1.0" }) });
    expect(await update()).toBe(`updated ${first} -> ${second.slice(0, 12)} (1.0.0 -> 1.1.0)`);

    expect(await update("--ref", second)).toBe(`already at ${second.slice(0, 12)}`);
    await repository.commit({ [MANIFEST]: manifestText(id, { version: "1.2.0" }) });
    expect(await update()).toBe(`pinned to commit ${second.slice(0, 12)}; name another with --ref`);
    await home.json(["agents", "install", id, "--allow-local"]);
    expect(await info(id)).toMatchObject({ source_commit: second, source_ref: second });
    expect(await home.json(["agents", "update", id, "--allow-local"])).toMatchObject({
      pinned: true,
      moved_from: null,
    });
    expect(await update("--ref", "main")).toMatch(/^updated .* \(1\.1\.0 -> 1\.2\.0\)$/);
    expect(await update()).toMatch(/^already at /);
  });

  test("is refused for what is not installed from git, and while it runs", async () => {
    const id = "org.example.updaterun";
    await refuse(home, ["agents", "update", "org.example.nobody"], { code: "agent.not_found", exit: 3 });
    await smallAgentAt(home, id, "running");
    await refuse(home, ["agents", "update", id, "--allow-local"], { code: "install.running", exit: 6 });
    await home.json(["agents", "stop", id]);
  });
});

describe("rollback", () => {
  test("puts back tree, build and the approval that belonged to it, and goes forth again", async () => {
    const id = "org.example.back";
    const repository = await smallAgentAt(home, id, "enabled", { permissions: ["filesystem:read:~/a/**"] });
    const first = await info(id);
    await repository.commit({
      [MANIFEST]: manifestText(id, { version: "2.0.0", permissions: ["filesystem:read:~/**"] }),
    });
    await home.json(["agents", "update", id, "--allow-local"]);
    await home.json(["agents", "build", id, "--yes"]);
    await home.json(["agents", "enable", id, "--all"]);
    const second = await info(id);

    const back = await home.json<AgentDetailJson>(["agents", "rollback", id]);
    expect(back).toMatchObject({
      version: "1.0.0",
      source_commit: first.source_commit,
      build_status: "built",
      drift: null,
    });
    expect(back.approval).toMatchObject({
      approval_id: first.approval?.approval_id,
      status: "active",
      approved_permissions: ["filesystem:read:~/a/**"],
    });
    expect(back.build_last_at).toBe(first.build_last_at);
    expect((await home.json<RunJson>(["agents", "run", id])).status).toBe("running");
    await home.json(["agents", "stop", id]);

    const forth = await home.json<AgentDetailJson>(["agents", "rollback", id]);
    expect(forth).toMatchObject({ version: "2.0.0", source_commit: second.source_commit, drift: null });
    expect(forth.approval?.approval_id).toBe(second.approval?.approval_id);
    expect(forth.build_last_at).toBe(second.build_last_at);
    await home.json(["agents", "rollback", id]);
    expect((await home.json<AgentDetailJson>(["agents", "revoke", id])).approval).toMatchObject({
      approval_id: first.approval?.approval_id,
      status: "revoked",
    });
  });

  test("is the remedy of a version that crashes: the older one is not shown as an error", async () => {
    const id = "org.example.crashes";
    const repository = await smallAgentAt(home, id, "enabled");
    await repository.commit({ "bin/agent": { text: "#!/bin/sh\nsleep 0.5\nexit 3\n", mode: 0o755 } });
    await home.json(["agents", "update", id, "--allow-local"]);
    await home.json(["agents", "build", id, "--yes"]);
    await home.json(["agents", "enable", id, "--all"]);
    await home.json(["agents", "run", id]);
    await eventually(async () => (await info(id)).status === "error", "the run to have crashed");
    expect(await home.json(["agents", "rollback", id])).toMatchObject({ status: "stopped", build_status: "built" });
  });

  test("never brings back a revoked approval", async () => {
    const id = "org.example.revokedback";
    const repository = await smallAgentAt(home, id, "enabled");
    await home.json(["agents", "revoke", id]);
    await repository.commit({ [MANIFEST]: manifestText(id, { version: "2.0.0" }) });
    await home.json(["agents", "update", id, "--allow-local"]);
    await home.json(["agents", "build", id, "--yes"]);
    await home.json(["agents", "enable", id, "--all"]);
    await home.json(["agents", "rollback", id]);
    await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4 });
  });

  const manifestOf = (id: string): string => join(home.folder, "agents", id, "src", MANIFEST);
  const damages: [string, string, (id: string) => void][] = [
    ["a manifest that somebody broke", "broken", (id) => writeFileSync(manifestOf(id), "{ broken")],
    ["a manifest that somebody deleted", "deleted", (id) => rmSync(manifestOf(id))],
    ["a source that somebody deleted", "nothing", (id) => rmSync(join(manifestOf(id), ".."), { recursive: true })],
  ];
  test.each(damages)("goes back to the commit's own files after %s and its repair", async (_what, name, damage) => {
    const id = `org.example.mended.${name}`;
    await smallAgentAt(home, id, "enabled");
    const { source_commit, approval } = await info(id);
    damage(id);
    await home.json(["agents", "install", id, "--allow-local"]);
    await home.json(["agents", "build", id, "--yes"]);
    const back = await home.json<AgentDetailJson>(["agents", "rollback", id]);
    expect(back).toMatchObject({ source_commit, build_status: "built", drift: null });
    expect(back.approval?.approval_id).toBe(approval?.approval_id);
    expect(readFileSync(manifestOf(id), "utf8")).toBe(manifestText(id));
    expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
    await home.json(["agents", "stop", id]);
  });

  test("away from a broken tree comes back to the commit's own files, which are built again", async () => {
    const id = "org.example.mendedforth";
    const repository = await smallAgentAt(home, id, "enabled");
    const build = { build: { steps: [{ phase: "compile", argv: ["touch", "made"] }] } };
    const head = await repository.commit({ [MANIFEST]: manifestText(id, { version: "2.0.0", ...build }) });
    await home.json(["agents", "update", id, "--allow-local"]);
    await home.json(["agents", "build", id, "--yes"]);
    writeFileSync(manifestOf(id), "{ broken");
    expect(await home.json(["agents", "rollback", id])).toMatchObject({ version: "1.0.0", build_status: "built" });
    const forth = await home.json<AgentDetailJson>(["agents", "rollback", id]);
    const next = `opensentience agents build ${id}`;
    expect(forth).toMatchObject({
      version: "2.0.0",
      source_commit: head,
      build_status: "not_built",
      next_step: next,
    });
    await typeNextStep(home, next);
    expect(await info(id)).toMatchObject({ build_status: "built" });
  });

  test("to a broken tree whose repository is lost too says so, names what brings it, and changes nothing", async () => {
    const id = "org.example.mendedlost";
    const repository = await smallAgentAt(home, id, "enabled");
    const first = repository.head;
    writeFileSync(manifestOf(id), "{ broken");
    const second = await repository.commit({ [MANIFEST]: manifestText(id, { version: "2.0.0" }) });
    await home.json(["agents", "update", id, "--allow-local"]);
    rmSync(join(home.folder, "agents", id, "previous/repo.git"), { recursive: true });
    const next = `opensentience agents update ${id} --ref ${first} --allow-local`;
    const error = await refuse(home, ["agents", "rollback", id], { code: "install.no_previous", exit: 3, next });
    expect(error.message).toContain(`of commit ${first.slice(0, 12)}, was changed on this machine`);
    expect(await info(id)).toMatchObject({ version: "2.0.0", source_commit: second });
    await typeNextStep(home, next);
    expect(await info(id)).toMatchObject({ version: "1.0.0", source_commit: first });
  });

  test("without an earlier tree says so", async () => {
    const id = "org.example.noback";
    await smallAgentAt(home, id, "installed");
    await refuse(home, ["agents", "rollback", id], { code: "install.no_previous", exit: 3 });
  });
});

describe("a folder run in place", () => {
  test("is built, approved and run where it is, its code may change, its manifest may not", async () => {
    const id = "org.example.inplace";
    const folder = mkdtempSync(join(tmpdir(), "os-dev-"));
    try {
      await writeFiles(folder, smallAgent(id));
      const linked = await home.json<AgentDetailJson>(["agents", "install", "--dev", folder]);
      expect(linked).toMatchObject({ status: "local_dev", install_path: folder, source_commit: null });
      const build = `opensentience agents build ${id}`;
      for (const verb of ["update", "rollback"]) {
        const error = await refuse(home, ["agents", verb, id], { code: "install.not_installed", exit: 4, next: build });
        expect(error.message).toContain(`change the files in ${folder}`);
      }
      await typeNextStep(home, build);
      await home.json(["agents", "enable", id, "--all"]);
      await home.json(["agents", "run", id]);
      await home.json(["agents", "stop", id]);
      writeFileSync(join(folder, "more.txt"), "changed code");
      await home.json(["agents", "run", id]);
      await home.json(["agents", "stop", id]);
      writeFileSync(join(folder, MANIFEST), manifestText(id, { version: "3.0.0" }));
      const { items } = await home.json<{ items: unknown[] }>(["agents", "list"]);
      expect(items).toContainEqual(expect.objectContaining({ agent_id: id, version: "3.0.0" }));
      await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4 });
      const next = `opensentience agents install --dev ${folder}`;
      expect(await home.json(["agents", "remove", id, "--yes"])).toMatchObject({ next_step: next });
      await refuse(home, ["agents", "run", id], { code: "install.not_installed", exit: 4, next });
      await typeNextStep(home, next);
      await home.json(["agents", "remove", id, "--yes"]);
      expect(existsSync(join(folder, MANIFEST))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("is refused when others can write to it, when it is none, and when the id is installed elsewhere", async () => {
    const id = "org.example.elsewhere";
    await smallAgentAt(home, id, "installed");
    const folder = mkdtempSync(join(tmpdir(), "os-dev-"));
    try {
      for (const args of [["--dev"], [], ["--allow-local"]]) {
        const nothing = join(folder, "nothing");
        const expected = { code: "manifest.missing", exit: 3 } as const;
        const error = await refuse(home, ["agents", "install", ...args, nothing], expected);
        expect(error.message).toBe(`there is no folder ${nothing}; check the path`);
      }
      await writeFiles(folder, smallAgent(id));
      await refuse(home, ["agents", "install", "--dev", folder], { code: "install.already_installed", exit: 6 });
      chmodSync(folder, 0o777);
      await refuse(home, ["agents", "install", "--dev", folder], { code: "core.unsafe_folder", exit: 4 });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

test.each([
  ["by URL", "unknown"],
  ["by id", "org.example.lost"],
])(
  "an install %s whose Core is lost before the swap leaves its intent, and a failure at the next start",
  async (_, subject) => {
    const own = await newHome();
    try {
      const repository = await gitRepository("lost", smallAgent("org.example.lost"));
      await own.json(["core", "start"], { env: { OPENSENTIENCE_KILL_POINT: "install.fetched" } });
      const source = subject === "unknown" ? [repository.url] : [subject, "--git-url", repository.url];
      expect((await own.cli(["agents", "install", ...source, "--allow-local"])).code).toBe(5);
      await own.json(["core", "start"]);
      const rows = auditRows(own).filter(({ type }) => type.startsWith("agent.install"));
      expect(rows.map(({ type, outcome, subject: about }) => [type, outcome, about])).toEqual([
        ["agent.installed", "unknown", subject],
        ["agent.install_failed", "failed", subject],
      ]);
      expect(rows[1]?.metadata).toMatchObject({ code: "core_lost", git_url: `file://${repository.url}` });
      expect(existsSync(join(own.folder, "agents/.staging"))).toBe(false);
      await own.json(["agents", "install", ...source, "--allow-local"]);
    } finally {
      await own.dispose();
    }
  },
);
