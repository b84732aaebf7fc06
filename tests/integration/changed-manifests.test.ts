/** A manifest that somebody changed where it is installed: that everybody says so, and names the same way back. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONTROL_ROUTES, type AgentDetailJson, type AgentDiffJson } from "@opensentience/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";
import { onTerminal, typeNextStep } from "../support/terminal.ts";

const READ = "filesystem:read:~/notes/**";

let home: CoreHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(() => home.dispose());

const manifestOf = (id: string): string => join(home.sourceOf(id), MANIFEST);
const info = (id: string): Promise<AgentDetailJson> => home.json<AgentDetailJson>(["agents", "info", id]);
const diff = async (id: string): Promise<AgentDiffJson> =>
  CONTROL_ROUTES.diff_agent.response.parse(await home.json(["agents", "diff", id]));

test("a manifest that was changed in place is not the commit's, and every review says so, approved or not", async () => {
  const id = "com.example.foreign";
  const { head } = await smallAgentAt(home, id, "built", { permissions: [READ] });
  expect(await info(id)).toMatchObject({ manifest_changed: false });
  writeFileSync(manifestOf(id), manifestText(id, { permissions: [READ], description: "Changed." }));
  const said = `${MANIFEST} was changed on this machine: it is not the one of commit ${head.slice(0, 12)}`;
  const isSaid = async (isForeign: boolean): Promise<void> => {
    expect(await info(id)).toMatchObject({ manifest_changed: isForeign });
    expect(await diff(id)).toMatchObject({ manifest_changed: isForeign, source_commit: head });
    for (const verb of ["info", "diff"])
      expect((await home.cli(["agents", verb, id])).stdout.includes(said), verb).toBe(isForeign);
  };
  await isSaid(true);
  const { text } = await onTerminal(
    home,
    ["agents", "enable", id],
    [
      { when: "[y/N/a/q] ", type: "a\n" },
      { when: "[y/N] ", type: "y\n" },
    ],
  );
  expect(text.indexOf(said)).toBeGreaterThan(-1);
  expect(text.indexOf(said)).toBeLessThan(text.indexOf(READ));
  // Approved as what it is: there is no drift, and it is not the commit's all the same.
  expect(await diff(id)).toMatchObject({ drift: null, approval: { status: "active" } });
  await isSaid(true);
  expect((await home.cli(["agents", "enable", id, "--all"])).stdout).toContain(said);
  await home.cli(["agents", "build", id, "--yes"]);
  expect(readFileSync(manifestOf(id), "utf8")).not.toContain("Changed.");
  await isSaid(false);
});

test("a manifest that plans the same is put back by the first build, and the plan that was looked at leads to it", async () => {
  const id = "com.example.blank";
  await smallAgentAt(home, id, "installed");
  writeFileSync(manifestOf(id), `${manifestText(id)}\n`);
  const plan = await home.cli(["agents", "build", id, "--plan"]);
  expect(plan.stdout).toContain(`first puts back 1 changed file: ${MANIFEST}`);
  expect(plan.stderr).toContain(`next: opensentience agents build ${id}\n`);
  const next = `opensentience agents build ${id}`;
  expect(await typeNextStep(home, next)).toMatch(/put back 1 changed file.*\n(.*\n)*built/);
  expect(readFileSync(manifestOf(id), "utf8")).toBe(manifestText(id));
});

test("a manifest that is broken or gone: everybody names the install that brings the commit's own", async () => {
  const id = "com.example.broken";
  await smallAgentAt(home, id, "running", { permissions: [READ] });
  const stepsNamed = async (): Promise<Set<string | null>> => {
    const { drift, next_step: afterDiff } = await diff(id);
    const { next_step: afterInfo, repair_step: repair } = await info(id);
    const refused = await Promise.all(
      [["restart"], ["build", "--yes"], ["build", "--plan"], ["enable", "--all"]].map(async ([verb = "", ...options]) =>
        home.fails(["agents", verb, id, ...options]),
      ),
    );
    const steps = refused.map(({ error }) => error.next_step);
    return new Set([drift?.next_step ?? null, afterDiff, afterInfo, repair, ...steps]);
  };
  const stop = `opensentience agents stop ${id}`;
  const install = `opensentience agents install ${id} --allow-local`;
  rmSync(manifestOf(id));
  expect([...(await stepsNamed())]).toEqual([stop]);
  await typeNextStep(home, stop);
  expect([...(await stepsNamed())]).toEqual([install]);
  writeFileSync(manifestOf(id), "{");
  expect([...(await stepsNamed())]).toEqual([install]);
  expect((await home.cli(["agents", "list"])).stderr).toContain(install);
  await home.json(["agents", "revoke", id]);
  expect(await info(id)).toMatchObject({ next_step: install, drift: null });
  await typeNextStep(home, install);
  expect(await info(id)).toMatchObject({ manifest_changed: false, repair_step: null });
});

test("of an agent that runs and whose files changed, list, info and diff name one next step", async () => {
  const id = "com.example.agree";
  const own = await newHome();
  const next = async (verb: string, ...ids: string[]): Promise<string | undefined> =>
    /^next: (.*)$/m.exec((await own.cli(["agents", verb, ...ids])).stderr)?.[1];
  await smallAgentAt(own, id, "running");
  const path = join(own.sourceOf(id), "bin/agent");
  const program = readFileSync(path, "utf8");
  writeFileSync(path, `${program}#\n`);
  const stop = `opensentience agents stop ${id}`;
  expect([await next("list"), await next("info", id), await next("diff", id)]).toEqual([stop, stop, stop]);
  // A manifest that says something else is looked at first.
  writeFileSync(path, program);
  writeFileSync(join(own.sourceOf(id), MANIFEST), manifestText(id, { description: "Changed." }));
  const look = `opensentience agents diff ${id}`;
  expect([await next("list"), await next("info", id)]).toEqual([look, look]);
  expect(await next("diff", id)).toBe(`opensentience agents enable ${id}`);
  await own.dispose();
});

test("a diff without an approval says that there is none, and what comes next", async () => {
  const id = "com.example.none";
  await smallAgentAt(home, id, "built");
  const said = async (): Promise<string> => (await home.cli(["agents", "diff", id])).stdout;
  expect(await said()).toBe("  it has no approval\n");
  await home.json(["agents", "enable", id, "--all"]);
  expect(await said()).toBe("  nothing changed since the approval\n");
  await home.json(["agents", "revoke", id]);
  expect(await said()).toBe("  its approval is revoked\n");
  const { next_step: next } = await info(id);
  expect(await diff(id)).toMatchObject({ approval: { status: "revoked" }, drift: null, next_step: next });
});
