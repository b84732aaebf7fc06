/** An approved agent that is no longer what was approved: what the page says of it, and the one way on that it offers. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentDetailJson } from "@opensentience/protocol";
import type { APIResponse, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";

const AGENT = "com.example.moved";
const READ = "filesystem:read:/proc/meminfo";
const WIDE = "filesystem:read:/proc/**";
const DECLINED = "network:egress:example.com:443";
const PLANTED = { steps: [{ phase: "compile", argv: ["true"] }] };
const FRESH = "network:egress:example.org:443";

describe.skipIf(!hasChromium)("an agent that drifted", () => {
  let home: CoreHome;
  let person: Visit;
  let page: Page;

  beforeAll(async () => {
    home = await newHome();
    person = await visit(home);
    page = await person.open();
  }, 120_000);
  afterAll(() => home.dispose());

  const asked = (permission: string) => page.locator(".permission").filter({ hasText: permission });
  const word = (permission: string, said: string): Promise<void> =>
    asked(permission).getByText(said, { exact: true }).waitFor();

  test("has nothing new to ask for but what the approved manifest did not", async () => {
    await smallAgentAt(home, AGENT, "built", { permissions: [READ, DECLINED] });
    await home.json(["agents", "enable", AGENT, "--approve", READ]);
    await goTo(page, `/agents/${AGENT}/permissions`);
    await word(DECLINED, "not approved");
    const asks = { permissions: [WIDE, DECLINED, FRESH], keywords: ["notes"] };
    writeFileSync(join(home.sourceOf(AGENT), MANIFEST), manifestText(AGENT, asks));
    await goTo(page, "/");
    await home.json(["agents", "diff", AGENT]);
    await page.reload();
    await goTo(page, `/agents/${AGENT}/permissions`);
    await word(WIDE, "wider");
    await word(FRESH, "new");
    const keywords = page.getByRole("region", { name: "What moved since you approved" }).getByRole("listitem");
    expect(await keywords.filter({ hasText: "keywords" }).innerText()).toMatch(/nothing\s→\s\["notes"\]$/);
    // Whether it may do without a sandbox is ticked in line with what it asks for.
    const boxes = await Promise.all(
      (await page.locator(".card").getByRole("checkbox").all()).map(async (box) => (await box.boundingBox())?.x),
    );
    expect(boxes.length).toBe(4);
    expect(new Set(boxes).size).toBe(1);
    await word(DECLINED, "not approved");
    expect(await page.locator(".permission").getByText("new", { exact: true }).count()).toBe(1);
    // Whoever is at the review needs no way to it; elsewhere it is the next step.
    expect(await page.getByRole("button", { name: "Review change" }).count()).toBe(0);
    await goTo(page, `/agents/${AGENT}`);
    await page.getByRole("button", { name: "Review change" }).waitFor();
    expect(person.faults).toEqual([]);
  });

  test("by a file that somebody changed is built, not reviewed; the refusal ends with what it was about", async () => {
    const changed = "com.example.changed";
    await smallAgentAt(home, changed, "enabled", { permissions: [READ] });
    // The page keeps seeing the agent as it was, so that the press comes too late.
    const place = `**/agents/${changed}`;
    let before: Promise<APIResponse> | undefined;
    await page.route(place, async (route) => route.fulfill({ response: await (before ??= route.fetch()) }));
    await goTo(page, `/agents/${changed}/permissions`);
    const approve = page.getByRole("button", { name: "Approve 1 of 1" });
    const build = page.getByRole("button", { name: "Build", exact: true });
    await approve.waitFor();
    writeFileSync(join(home.sourceOf(changed), "bin/agent"), "#!/bin/sh\nexec sleep 1001\n");
    await approve.click();
    const refusal = page.getByText("enablement.drifted", { exact: true });
    await refusal.waitFor();
    await page.unroute(place);
    await home.fails(["agents", "run", changed]);
    await page.getByText("Nothing can be approved while its files are not those of the installed commit").waitFor();
    expect(await approve.isDisabled()).toBe(true);
    expect(await refusal.count()).toBe(0);
    expect(await page.getByRole("button", { name: "Review change" }).count()).toBe(0);
    // One in the head of the agent, one beside what it unlocks.
    expect(await build.count()).toBe(2);
    await build.last().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("region", { name: "Will be put back" }).getByText("bin/agent").waitFor();
    await dialog.getByRole("button", { name: "Build", exact: true }).click();
    await dialog
      .getByRole("region", { name: /^Put back$/ })
      .getByText("bin/agent")
      .waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByText("Drifted", { exact: true }).waitFor({ state: "detached" });
    expect(await approve.isDisabled()).toBe(false);
    expect(await refusal.count()).toBe(0);
    expect(person.faults.filter((fault) => !fault.includes("403"))).toEqual([]);
  });

  test("or that nobody approved is built first too: all that a build puts back is named, and the plan that it leads to", async () => {
    const fresh = "com.example.fresh";
    await smallAgentAt(home, fresh, "built", { permissions: [READ] });
    await goTo(page, `/agents/${fresh}/permissions`);
    const approve = page.getByRole("button", { name: /^Approve \d of 1$/ });
    await approve.waitFor();
    writeFileSync(join(home.sourceOf(fresh), "bin/agent"), "#!/bin/sh\nexec sleep 1001\n");
    writeFileSync(join(home.sourceOf(fresh), MANIFEST), manifestText(fresh, { permissions: [READ], build: PLANTED }));
    // At once, whether or not a scan has told the page meanwhile, which then cannot be pressed any more.
    await approve.dispatchEvent("click");
    const notice = page.locator(".notice").filter({ hasText: "Nothing can be approved while its files are not those" });
    await notice.waitFor();
    const foreign = page.getByText("was changed on this machine: it is not the one of commit");
    await foreign.waitFor();
    expect(await approve.isDisabled()).toBe(true);
    // It stands apart from the edges of its card.
    const [inner, outer] = [await notice.boundingBox(), await page.locator(".card", { has: notice }).boundingBox()];
    expect((inner?.x ?? 0) - (outer?.x ?? 0)).toBeGreaterThan(8);
    await notice.getByRole("button", { name: "Build", exact: true }).click();
    // With a step to run it warns, without one it does not.
    const dialog = page.getByRole("alertdialog").or(page.getByRole("dialog"));
    const list = dialog.getByRole("region", { name: "Will be put back" });
    await list.waitFor();
    expect(await list.getByRole("listitem").allInnerTexts()).toEqual(["bin/agent", MANIFEST]);
    await dialog.getByRole("button", { name: "Build", exact: true }).click();
    await dialog.getByText("changed files were put back, and the plan is no longer the one that was shown").waitFor();
    await list.waitFor({ state: "detached" });
    await dialog.getByRole("button", { name: "Try again" }).click();
    await page.locator(".note").getByText(`Built ${fresh}`, { exact: true }).waitFor();
    await notice.waitFor({ state: "detached" });
    expect(await approve.isDisabled()).toBe(false);
    expect(await foreign.count()).toBe(0);
  });

  test("by a manifest that cannot be read leads to the install that brings the commit's own", async () => {
    const broken = "com.example.broken";
    await smallAgentAt(home, broken, "enabled", { permissions: [READ] });
    writeFileSync(join(home.sourceOf(broken), MANIFEST), "{");
    await goTo(page, `/agents/${broken}/permissions`);
    const notice = page.locator(".notice").filter({ hasText: "Nothing can be approved" });
    await notice.getByText("Install puts them back.").waitFor();
    expect(await page.getByRole("button", { name: "Review change" }).count()).toBe(0);
    await notice.getByRole("button", { name: "Install", exact: true }).click();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
  });

  test("while it runs is stopped first", async () => {
    const runs = "com.example.runs";
    await smallAgentAt(home, runs, "running", { permissions: [READ] });
    writeFileSync(join(home.sourceOf(runs), "bin/agent"), "#!/bin/sh\nexec sleep 1001\n");
    await goTo(page, `/agents/${runs}/permissions`);
    const notice = page.locator(".notice").filter({ hasText: "Nothing can be approved" });
    await notice.getByText("They can be put back once it is stopped.").waitFor();
    await notice.getByRole("button", { name: `Stop ${runs}` }).click();
    await notice.getByRole("button", { name: "Build", exact: true }).waitFor();
    expect(await notice.getByRole("button", { name: `Stop ${runs}` }).count()).toBe(0);
    expect(person.faults.filter((fault) => !fault.includes("403"))).toEqual([]);
  });

  test("by very many files and by names that are cut alike shows how many there are, each change once", async () => {
    const many = "com.example.many";
    await smallAgentAt(home, many, "enabled", { publisher: { name: "Ada" } });
    for (let at = 0; at < 300; at += 1) writeFileSync(join(home.sourceOf(many), `new${at}`), "");
    writeFileSync(join(home.sourceOf(many), "bin/agent"), "#!/bin/sh\nexec sleep 1001\n");
    const long = "k".repeat(150);
    const publisher = { name: "Ada", [`${long}1`]: "one", [`${long}2`]: "two", zed: "three" };
    writeFileSync(join(home.sourceOf(many), MANIFEST), manifestText(many, { publisher }));
    await home.json(["agents", "diff", many]);
    await goTo(page, `/agents/${many}/permissions`);
    const moved = page.getByRole("region", { name: "What moved since you approved" });
    const added = moved.getByRole("group").filter({ hasText: "New files" });
    await added.getByText("New files").click();
    expect(await added.locator("summary").innerText()).toBe("New files 300 files");
    const entries = await added.getByRole("listitem").allInnerTexts();
    expect(entries).toHaveLength(51);
    expect(entries.at(-1)).toBe("and 250 more");
    await moved.getByText("Changed files").waitFor();
    const fields = async (): Promise<unknown> =>
      (await moved.getByRole("listitem").filter({ hasText: "publisher." }).allInnerTexts()).map((text) =>
        text.split(/\s/).at(-1),
      );
    expect(await fields()).toEqual(["one", "two", "three"]);
    // What is no longer so leaves the list that is on the screen, the names that are cut alike too.
    await page.route(`**/agents/${many}`, async (route) => {
      const response = await route.fetch();
      const agent = (await response.json()) as AgentDetailJson;
      agent.drift?.diff.fields.splice(0, 2);
      await route.fulfill({ response, json: agent });
    });
    await home.fails(["agents", "run", many]);
    await expect.poll(fields).toEqual(["three"]);
    await page.unroute(`**/agents/${many}`);
    expect(person.faults.filter((fault) => !fault.includes("403"))).toEqual([]);
  });

  test("or failed keeps title and text of each step together on a telephone", async () => {
    const fails = "com.example.fails";
    const files = { "bin/agent": { text: "#!/bin/sh\nkill -ABRT $$\n", mode: 0o755 } };
    await smallAgentAt(
      home,
      fails,
      "enabled",
      { permissions: [READ], resources: { memory: { limit: "256Mi" } } },
      files,
    );
    await home.cli(["agents", "run", fails]);
    await goTo(page, `/agents/${fails}`);
    const steps = page.getByRole("list", { name: "Steps of this agent" }).getByRole("listitem");
    await steps
      .last()
      .getByText(/its memory was limited/)
      .waitFor();
    await page.setViewportSize({ width: 360, height: 740 });
    const places = await page.evaluate<[number, number, number][]>(`
      [...document.querySelectorAll(".rail-step")].map((step) => {
        const [name, text] = [".rail-name", ".rail-text"].map((part) => step.querySelector(part).getBoundingClientRect());
        return [text.top - name.bottom, name.top, text.height];
      })`);
    const heights = places.map(([, , height]) => height);
    expect(heights[3]).toBeGreaterThan((heights[2] ?? 0) * 1.5);
    for (const [gap] of places) expect(gap).toBeLessThan(4);
    expect(places[2]?.[1]).toBe(places[3]?.[1]);
    await page.setViewportSize({ width: 1280, height: 860 });
  });
});
