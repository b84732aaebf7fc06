/** Builds that try to get more accepted than the commit and its plan: planted files, forged lists, links, second plans. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { CONTROL_ROUTES, type AgentDetailJson } from "@opensentience/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runTool } from "../../packages/core/src/host/child-process.ts";
import { hashTree, saveEntries } from "../../packages/core/src/tree/tree.ts";
import { auditRows } from "../support/audit-rows.ts";
import { type CoreHome, eventually, type Files, newHome } from "../support/core-home.ts";
import { refuse } from "../support/refuse.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";
import { Following, typeNextStep } from "../support/terminal.ts";

let home: CoreHome;
beforeAll(async () => {
  // What these builds try leaves its traces where a sandbox shows nothing: here Core has to stop them by itself.
  home = await newHome({ settings: { "sandbox.mode": "off" } });
});
afterAll(() => home.dispose());

const info = (id: string): Promise<AgentDetailJson> => home.json(["agents", "info", id]);
const steps = (...argv: string[]): Record<string, unknown> => ({ build: { steps: [{ phase: "compile", argv }] } });
const script = (text: string): Files => ({ "make.sh": { text: `#!/bin/sh\n${text}\n`, mode: 0o755 } });

describe("a build starts from the commit", () => {
  test("a build starts from the commit, whatever was planted", async () => {
    const id = "hostile.planted";
    const witness = join(home.projects, "planted-ran");
    await smallAgentAt(home, id, "enabled", steps("./make.sh"), script("[ -x ./extra ] && ./extra; echo > made"));
    const before = await info(id);
    const source = home.sourceOf(id);
    writeFileSync(join(source, "extra"), `#!/bin/sh\ntouch ${witness}\n`, { mode: 0o755 });
    writeFileSync(join(source, "make.sh"), `#!/bin/sh\ntouch ${witness}\n`);
    await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4 });
    await home.json(["agents", "build", id, "--yes"]);
    expect([existsSync(witness), existsSync(join(source, "extra")), existsSync(join(source, "made"))]).toEqual([
      false,
      false,
      true,
    ]);
    const started = auditRows(home, "agent.build_started").filter(({ subject }) => subject === id);
    expect(started.map(({ metadata }) => metadata["put_back"])).toEqual([undefined, ["extra", "make.sh"]]);
    // The same commit: the approval still fits.
    expect(await info(id)).toMatchObject({ drift: null, approval: { approval_id: before.approval?.approval_id } });
    expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
    await home.json(["agents", "stop", id]);
  });

  test("nothing that a build leaves in its home reaches the next build", async () => {
    const id = "hostile.home";
    const leave = 'ls -A "$HOME" > seen; echo x > "$HOME/.npmrc"; mkdir -p "$HOME/ro/x"; chmod 500 "$HOME/ro"';
    const swap = 'rm -rf "$HOME/tmp"; ln -s /nowhere/x "$HOME/tmp"';
    await smallAgentAt(home, id, "installed", steps("./make.sh"), script(`${leave}; ${swap}`));
    const inHome = join(home.folder, "agents", id, "build-home");
    for (const left of ["", "of a Core that was killed"]) {
      if (left !== "") {
        mkdirSync(inHome);
        writeFileSync(join(inHome, ".npmrc"), left);
        symlinkSync("/nowhere/x", join(inHome, "tmp"));
      }
      await home.json(["agents", "build", id, "--yes"]);
      expect([readFileSync(join(home.sourceOf(id), "seen"), "utf8"), existsSync(inHome)]).toEqual(["tmp\n", false]);
    }
  });

  test("a source that cannot be read at all is put back too", async () => {
    const id = "hostile.gone";
    await smallAgentAt(home, id, "enabled");
    await digDeep(home.sourceOf(id));
    const deep = await home.cli(["agents", "build", id, "--yes"]);
    expect(deep.stdout).toMatch(/^put back 1 changed file: '0+…'\n/);
    writeFileSync(join(home.sourceOf(id), "hole"), "");
    truncateSync(join(home.sourceOf(id), "hole"), 2 ** 40);
    const { stdout } = await home.cli(["agents", "build", id, "--yes"]);
    expect(stdout).toMatch(/^put back the whole source, which could not be read\n/);
    expect((await info(id)).drift).toBeNull();
    const started = auditRows(home, "agent.build_started").filter(({ subject }) => subject === id);
    expect(started.at(-1)?.metadata["put_back"]).toEqual(["(the whole source, which could not be read)"]);
  });

  test("a pipe among the files is named, and no other", async () => {
    const id = "hostile.pipe";
    await smallAgentAt(home, id, "enabled", {}, { "notes/a.md": "a", "notes/b.md": "b" });
    const source = home.sourceOf(id);
    const pipe = async (name: string): Promise<void> => {
      rmSync(join(source, name), { recursive: true, force: true });
      await runTool(["/usr/bin/mkfifo", join(source, name)], { env: {}, timeoutMs: 10_000, maxBytes: 1_000 });
    };
    await pipe("planted");
    const plan = ["agents", "build", id, "--plan"];
    expect(await home.json(plan)).toMatchObject({ put_back: ["planted"], put_back_count: 1 });
    // In the place of a folder it stands for all that was in there; other changes are seen beside it.
    await pipe("notes");
    writeFileSync(join(source, "bin/agent"), "");
    const expected = { put_back: ["notes", "planted", "bin/agent"], put_back_count: 3 };
    expect(await home.json(plan)).toMatchObject(expected);
    expect(await home.json(["agents", "build", id, "--yes"])).toMatchObject(expected);
    expect(await home.json(plan)).toMatchObject({ put_back: [], put_back_count: 0 });
    expect((await info(id)).drift).toBeNull();
  });

  test("names that pass for others are told apart, and long ones are cut", async () => {
    const id = "hostile.names";
    await smallAgentAt(home, id, "enabled");
    const names = ["a, bin", "b\nbuilt", "c".repeat(250), "\u202ed"];
    for (const name of names) writeFileSync(join(home.sourceOf(id), name), "");
    const { stdout } = await home.cli(["agents", "build", id, "--yes"]);
    expect(stdout.split("\n").slice(0, 2)).toEqual([
      String.raw`put back 4 changed files: 'a, bin', $'b\nbuilt', '${"c".repeat(199)}…', $'\u202ed'`,
      "built",
    ]);
  });

  test("a build whose source cannot be put back is refused", async () => {
    const id = "hostile.norepo";
    await smallAgentAt(home, id, "enabled");
    writeFileSync(join(home.sourceOf(id), "extra"), "");
    rmSync(join(home.folder, "agents", id, "repo.git"), { recursive: true });
    mkdirSync(join(home.folder, "agents", id, "repo.git"));
    const next = `opensentience agents install ${id} --allow-local`;
    await refuse(home, ["agents", "build", id, "--yes"], { code: "build.source_changed", exit: 4, next, about: id });
    await typeNextStep(home, next);
    await home.json(["agents", "build", id, "--yes"]);
  });
});

describe("what a build leaves", () => {
  test("a build that forges the list of tracked files fails", async () => {
    const id = "hostile.forged";
    const forged = join(home.projects, "forged.json");
    const files = script(`echo >> notes.txt; cp ${forged} ../tracked.json`);
    await smallAgentAt(home, id, "installed", steps("./make.sh"), { ...files, "notes.txt": "notes\n" });
    const notes = join(home.sourceOf(id), "notes.txt");
    writeFileSync(notes, "notes\n\n");
    await saveEntries(forged, (await hashTree(home.sourceOf(id))).entries);
    const expected = { code: "build.tracked_files_changed", exit: 4, about: id } as const;
    const error = await refuse(home, ["agents", "build", id, "--yes"], expected);
    expect(error.details).toEqual({ files: ["(the list of tracked files)"] });
    expect((await info(id)).build_status).toBe("failed");
  });

  test("a build that links to files that others can change fails", async () => {
    const id = "hostile.link";
    const target = join(home.projects, "module.js");
    writeFileSync(target, "1");
    await smallAgentAt(home, id, "installed", steps("./make.sh"), script(`ln -s ${target} module.js`));
    const next = `opensentience agents build ${id} --plan`;
    const error = await refuse(home, ["agents", "build", id, "--yes"], { code: "build.link_outside", exit: 4, next });
    expect(error.details).toEqual({ links: [{ path: "module.js", target }] });
  });

  test("a link to a program of the system is accepted, as a virtual environment needs it", async () => {
    const id = "hostile.venv";
    await smallAgentAt(home, id, "installed", steps("./make.sh"), script("mkdir .venv; ln -s /bin/sh .venv/sh"));
    expect(await home.json(["agents", "build", id, "--yes"])).toMatchObject({ build_status: "built" });
  });

  test("a build that leaves a hole of terabytes is refused", async () => {
    const id = "hostile.huge";
    await smallAgentAt(home, id, "installed", steps("./make.sh"), script("truncate -s 4T hole"));
    await refuse(home, ["agents", "build", id, "--yes"], { code: "install.limit_exceeded", exit: 4 });
    expect((await info(id)).build_status).toBe("failed");
  });
});

describe("the plan that was shown", () => {
  test("a plan that changed after it was shown is not run", async () => {
    const id = "hostile.plan";
    const repository = await smallAgentAt(home, id, "installed", steps("true"));
    const plan = CONTROL_ROUTES.plan_build.response.parse(await home.json(["agents", "build", id, "--plan"]));
    await repository.commit({ [MANIFEST]: manifestText(id, steps("false")) });
    await home.json(["agents", "update", id, "--allow-local"]);
    const after = CONTROL_ROUTES.plan_build.response.parse(await home.json(["agents", "build", id, "--plan"]));
    expect(after.digest).not.toBe(plan.digest);
    const answer = await post(`/agents/${id}/build`, { expected_plan: plan.digest });
    expect(answer).toMatchObject({ code: "build.plan_changed" });
    expect(await typeNextStep(home, `opensentience agents build ${id} --plan`)).toContain("false");
    expect((await info(id)).build_status).not.toBe("failed");
  });
});

test("a build that is canceled while its tree is hashed stays canceled, and core stop ends it", async () => {
  const id = "hostile.cancel";
  const own = await newHome({ settings: { "install.max_bytes": 1_000_000_000_000_000 } });
  await smallAgentAt(own, id, "installed", steps("./make.sh"), script("truncate -s 4T hole; echo made"));
  const building = new Following(own, ["agents", "build", id, "--yes"]);
  await eventually(() => existsSync(join(own.sourceOf(id), "hole")), "the build to be done");
  await own.json(["core", "stop"]);
  expect((await building.interrupt()).code).not.toBe(0);
  const event = auditRows(own, "agent.build_failed").at(-1);
  expect(event).toMatchObject({ subject: id, metadata: { code: "build.canceled" } });
  rmSync(join(own.sourceOf(id), "hole"));
  expect(await own.json(["agents", "info", id])).toMatchObject({ build_status: "failed" });
  await own.dispose();
});

describe("a start", () => {
  test("a forged cache does not hide a change", async () => {
    const id = "hostile.cache";
    const text = `#!/bin/sh\n#${"x".repeat(300)}\nexec sleep 1000\n`;
    await smallAgentAt(home, id, "enabled", {}, { "bin/agent": { text, mode: 0o755 } });
    await info(id);
    const program = join(home.sourceOf(id), "bin/agent");
    const cache = join(home.folder, "agents", id, "tree-cache.json");
    const witness = join(home.projects, "swapped-ran");
    const before = (await hashTree(home.sourceOf(id))).entries.find(({ path }) => path === "bin/agent");
    writeFileSync(program, `#!/bin/sh\ntouch ${witness}\nexec sleep 1000\n`.padEnd(text.length, "#"));
    const forge = (): void => forgeCache(cache, home.sourceOf(id), "bin/agent", before?.sha256 ?? "");
    forge();
    expect((await info(id)).drift).toBeNull();
    // A view drops rows of files that were touched a moment ago.
    forge();
    await refuse(home, ["agents", "run", id], { code: "enablement.drifted", exit: 4, about: id });
    expect(existsSync(witness)).toBe(false);
    const { run } = await info(id);
    expect(run).toMatchObject({ status: "crashed", reason: "changed during the start" });
    const events = auditRows(home).filter(
      ({ subject, type }) => subject === run?.run_id && type !== "security.unsandboxed_run",
    );
    expect(events.map(({ type, outcome }) => `${type} ${outcome}`)).toEqual([
      "agent.run_started unknown",
      "agent.run_started ok",
      "agent.run_crashed failed",
    ]);
    await home.json(["agents", "build", id, "--yes"]);
    expect(await home.json(["agents", "run", id])).toMatchObject({ status: "running" });
    await home.json(["agents", "stop", id]);
  });

  test("refuses an entrypoint that leads out of the agent's folder", async () => {
    const id = "hostile.entry";
    const folder = join(home.projects, "entry");
    const outside = join(home.projects, "outside.sh");
    writeFileSync(outside, "#!/bin/sh\nexec sleep 1000\n", { mode: 0o755 });
    mkdirSync(join(folder, "bin"), { recursive: true });
    writeFileSync(join(folder, MANIFEST), manifestText(id));
    symlinkSync(outside, join(folder, "bin/agent"));
    await home.json(["agents", "install", "--dev", folder]);
    await home.json(["agents", "build", id, "--yes"]);
    await home.json(["agents", "enable", id, "--all"]);
    const error = await refuse(home, ["agents", "run", id], { code: "launcher.program_outside", exit: 4, about: id });
    expect(error.details).toMatchObject({ target: outside });
  });

  test("a source that cannot be read is a drift, not a fault", async () => {
    const id = "hostile.deep";
    await smallAgentAt(home, id, "running");
    await digDeep(home.sourceOf(id));
    expect((await info(id)).drift?.diff.files.added).toEqual(["(cannot be read: ENAMETOOLONG)"]);
    expect(await home.json(["agents", "diff", id])).toMatchObject({ drift: { layers: ["commit"] } });
    await home.json(["agents", "scan"]);
    expect(await home.json(["agents", "revoke", id])).toMatchObject({ approval: { status: "revoked" } });
    await home.json(["agents", "install", id, "--allow-local"]);
    expect(await home.json(["agents", "build", id, "--yes"])).toMatchObject({ drift: null });
  });
});

/** Folders in each other until no path can name the innermost. */
async function digDeep(folder: string): Promise<void> {
  const dig =
    'i=0; while [ $i -lt 30 ]; do d=$(printf "%0200d" $i); mkdir $d && cd -P $d || exit 1; i=$((i+1)); done; : > end';
  const result = await runTool(["/bin/sh", "-c", dig], { cwd: folder, env: {}, timeoutMs: 10_000, maxBytes: 1000 });
  expect([result.exitCode, result.stderr.toString()]).toEqual([0, ""]);
}

/** What somebody who can write the agent's folder could write: the old hash for the new file's facts. */
function forgeCache(cache: string, root: string, path: string, sha256: string): void {
  const stat = lstatSync(join(root, path), { bigint: true });
  const stored = JSON.parse(existsSync(cache) ? readFileSync(cache, "utf8") : '{"version":1,"rows":[]}') as {
    version: number;
    rows: unknown[][];
  };
  const row = [path, Number(stat.size), String(stat.mtimeNs), String(stat.ctimeNs), String(stat.ino), sha256];
  const rows = [...stored.rows.filter(([name]) => name !== path), row];
  writeFileSync(cache, JSON.stringify({ ...stored, rows }));
}

function post(path: string, body: object): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const sent = request({
    socketPath: join(home.folder, "run/core.sock"),
    method: "POST",
    path: `/api/v1${path}`,
    headers: { "content-type": "application/json" },
  });
  sent.on("error", reject).on("response", (response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    response.on("end", () => resolve(JSON.parse(text)));
  });
  sent.end(JSON.stringify(body));
  return promise;
}
