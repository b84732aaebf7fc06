/** What an operator reads: the audit log with its reasons, a manifest as its author wrote it, how long a run was up, and a search that keeps every letter. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { MANIFEST, smallAgentAt } from "../support/small-agent.ts";

const AGENT = "com.example.read";

describe.skipIf(!hasChromium)("the page, read", () => {
  let home: CoreHome;
  let person: Visit;
  let page: Page;

  beforeAll(async () => {
    home = await newHome();
    await smallAgentAt(home, AGENT, "built", { name: "Reader" });
    await home.fails(["agents", "run", AGENT]);
    person = await visit(home);
    page = await person.open("/audit");
  }, 120_000);
  afterAll(() => home.dispose());

  test("part of a type's name or meaning is no error: the types that fit are offered, each with what it means", async () => {
    const asked: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("/audit/events?type"))
        asked.push(new URL(request.url()).searchParams.get("type") ?? "");
    });
    const field = page.getByLabel("Event type");
    await field.pressSequentially("denied");
    const options = page.getByRole("listbox", { name: "Types of events" }).getByRole("option");
    await options.first().waitFor();
    expect(await options.allInnerTexts()).toEqual([expect.stringMatching(/security\.denied\s+An act was refused/)]);
    await field.fill("no such thing");
    await page.getByText("No type of event is called so.").waitFor();
    await field.fill("policy");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    expect(await field.inputValue()).toBe("security.denied");
    await expect.poll(() => page.url()).toContain("type=security.denied");
    await page
      .getByRole("button", { name: /security\.denied/ })
      .first()
      .waitFor();
    expect(await page.getByText("usage.invalid").count()).toBe(0);
    // What is no type is not asked for, and is gone when the field is left.
    await field.fill("security.den");
    await field.press("Tab");
    expect(await field.inputValue()).toBe("security.denied");
    await field.fill("");
    await expect.poll(() => page.url()).not.toContain("type=");
    expect(new Set(asked)).toEqual(new Set(["security.denied"]));
  });

  test("a row says why, and so does the whole act that it belongs to", async () => {
    const denied = page.getByRole("button", { name: /security\.denied/ }).first();
    await denied.getByText("enablement.not_enabled").waitFor();
    await denied.click();
    const drawer = page.getByRole("dialog");
    await drawer.getByText("Why", { exact: true }).waitFor();
    await drawer.getByText(`${AGENT} has no active approval`).first().waitFor();
    await drawer.locator(".timeline-why").getByText("enablement.not_enabled").waitFor();
    await page.setViewportSize({ width: 360, height: 740 });
    await page.keyboard.press("Escape");
    await denied.getByText("enablement.not_enabled").waitFor();
    const [why, row] = [await denied.locator(".audit-why").boundingBox(), await denied.boundingBox()];
    expect((why?.y ?? 0) + (why?.height ?? 0)).toBeLessThanOrEqual((row?.y ?? 0) + (row?.height ?? 0));
    await page.setViewportSize({ width: 1280, height: 860 });
  });

  test("the manifest is shown as its author wrote it, hidden marks seen, and anew when it changes", async () => {
    const file = join(home.sourceOf(AGENT), MANIFEST);
    const written = readFileSync(file, "utf8");
    await goTo(page, `/agents/${AGENT}/manifest`);
    const shown = page.getByLabel("The manifest as it stands on disk");
    expect(await shown.innerText()).toBe(written);
    await page.getByLabel("What Core reads in it").getByText(`"id": "${AGENT}"`).waitFor();
    const changed = written.replace("\n}", `,\n\t"x-note" :  "</pre><img src=x onerror=alert(1)> \u202eabc"\n}`);
    writeFileSync(file, changed);
    await home.json(["agents", "scan"]);
    await shown.getByText(String.raw`"x-note" :  "</pre><img src=x onerror=alert(1)> \u202eabc"`).waitFor();
    writeFileSync(file, written);
    expect(person.faults).toEqual([]);
  });

  test("how long a run was up is Core's word, also of one that was lost with Core", async () => {
    await home.json(["agents", "scan"]);
    await home.json(["agents", "enable", AGENT, "--all"]);
    await home.json(["agents", "run", AGENT]);
    process.kill(await home.corePid(), "SIGKILL");
    const { port } = new URL(page.url());
    await eventually(
      async () => (await home.cli(["core", "start"], { env: { OPENSENTIENCE_WEB_PORT: port } })).code === 0,
      "Core to start again",
    );
    type Run = { uptime_ms: number; uptime_is_least: boolean };
    const { items } = await home.json<{ items: Run[] }>(["agents", "ps", "--all"]);
    expect(items[0]).toMatchObject({ uptime_is_least: true });
    const said = items[0]?.uptime_ms ?? 0;
    await page.goto(await person.link());
    await page.getByRole("navigation", { name: "Screens" }).waitFor();
    await goTo(page, `/agents/${AGENT}/log`);
    const term = page.locator(".line-facts div").filter({ hasText: "Ran for" }).locator("dd");
    await expect.poll(() => term.innerText()).toBe(said === 0 ? "unknown" : `at least ${Math.floor(said / 1_000)} s`);
  });

  test("what a build printed stays to be read when its dialog is long closed", async () => {
    const broken = "com.example.breaks";
    const argv = ["sh", "-c", "echo '<b>looking</b>'; echo 'it breaks here' >&2; exit 3"];
    await smallAgentAt(home, broken, "installed", { build: { steps: [{ phase: "compile", argv }] } });
    await home.fails(["agents", "build", broken, "--yes"]);
    await goTo(page, `/agents/${broken}`);
    await page.getByRole("link", { name: "What the build printed" }).click();
    const log = page.getByRole("log");
    await log.getByText("<b>looking</b>", { exact: true }).waitFor();
    await log.getByText("it breaks here", { exact: true }).waitFor();
    await page.getByText("it failed.").waitFor();
    // Beside the runs of one that did run.
    await goTo(page, `/agents/${AGENT}/log`);
    await page.getByText("Ran for").waitFor();
    await page.getByRole("button", { name: /^Newest build/ }).click();
    await page.getByText("it succeeded.").waitFor();
    expect(person.faults.filter((fault) => !fault.includes("ERR_"))).toEqual([]);
  });

  test("on a telephone the chosen tab and tool are in view; on a wide screen the output ends with the window", async () => {
    await home.json(["agents", "run", AGENT]);
    const inView = (selector: string): Promise<boolean> =>
      page.evaluate<boolean>(`(() => {
        const { left, right } = document.querySelector("${selector}").getBoundingClientRect();
        return left >= 0 && right <= innerWidth;
      })()`);
    for (const [tab, name] of [
      ["manifest", "Manifest"],
      ["", "Overview"],
      ["tools", "Tools"],
    ]) {
      await page.setViewportSize({ width: 360, height: 740 });
      await goTo(page, `/agents/${AGENT}/${tab}`);
      await page.getByRole("tab", { name: name ?? "", selected: true }).waitFor();
      await expect.poll(() => inView(".tab[data-active]"), { message: name ?? "" }).toBe(true);
    }
    await goTo(page, `/agents/${AGENT}/log`);
    await page.locator(".run-choice").nth(1).waitFor();
    await expect.poll(() => inView(".run-choice[aria-current]")).toBe(true);
    await page.setViewportSize({ width: 1440, height: 900 });
    await goTo(page, `/agents/${AGENT}/log`);
    await page.locator(".run-charts").waitFor();
    const below = (): Promise<number> =>
      page.evaluate<number>(`innerHeight - document.querySelector(".log-foot").getBoundingClientRect().bottom`);
    await expect.poll(below).toBeGreaterThan(0);
    expect(await below()).toBeLessThan(60);
    expect(await page.locator(".log-box").evaluate((box) => box.clientHeight)).toBeGreaterThan(360);
    expect(await page.evaluate("document.documentElement.scrollHeight - innerHeight")).toBe(0);
    await page.setViewportSize({ width: 1280, height: 860 });
    await home.json(["agents", "stop", AGENT]);
  });

  test("a run that ended says how, its exit code or signal among it, in the words of the command line", async () => {
    const crashing = "com.example.crashes";
    await smallAgentAt(home, crashing, "enabled", {}, { "bin/agent": { text: "#!/bin/sh\nexit 3\n", mode: 0o755 } });
    await home.fails(["agents", "run", crashing]);
    const end = page.locator(".line-facts div").filter({ hasText: "End" }).locator("dd");
    await goTo(page, `/agents/${crashing}/log`);
    await expect.poll(() => end.innerText()).toBe("exited with code 3");
    // It was stopped, and obeyed.
    await goTo(page, `/agents/${AGENT}/log`);
    await expect.poll(() => end.innerText()).toMatch(/^(?:exit code \d+|signal SIG[A-Z]+) \(stopped\)$/);
    const said = (await home.cli(["agents", "stop", AGENT])).stdout;
    expect(said).toContain(`, ${await end.innerText()}`);
    expect(person.faults.filter((fault) => !fault.includes("ERR_"))).toEqual([]);
  });

  test("letters that are typed while the address catches up are not taken back", async () => {
    await goTo(page, "/");
    const search = page.getByLabel("Search agents");
    await search.waitFor();
    // The next letters come at the very moment at which the first ones reach the address.
    await page.evaluate(`{
      const field = document.activeElement?.matches("input[type=search]") ? document.activeElement : document.querySelector("input[type=search]");
      const type = (text) => {
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, text);
        field.dispatchEvent(new Event("input", { bubbles: true }));
      };
      const later = (act) => requestAnimationFrame(() => requestAnimationFrame(act));
      addEventListener("hashchange", () => { type("reade"); later(() => type(field.value + "r")); }, { once: true, capture: true });
      type("rea");
    }`);
    await expect.poll(() => page.url()).toContain("q=reader");
    expect(await search.inputValue()).toBe("reader");
    await search.fill("");
    expect(person.faults.filter((fault) => !fault.includes("ERR_"))).toEqual([]);
  });
});
