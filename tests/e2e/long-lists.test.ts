/** Lists longer than any screen: how soon they stand after Core's answer, and that they scroll to their end. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { manifestText } from "../support/small-agent.ts";

const AGENTS = 1_000;
/** The figure is 200 ms; a machine that does much else at once gets more before this is a fault. */
const MOST_MS = 2_000;

/** Notes when the first element of each kind stands in the document. */
const WATCH = `
  globalThis.stood = {};
  new MutationObserver(() => {
    for (const kind of [".agent-row", "button.audit-row"])
      if (!(kind in stood) && document.querySelector(kind) !== null)
        requestAnimationFrame(() => { stood[kind] ??= performance.now(); });
  }).observe(document, { subtree: true, childList: true });
`;

describe.skipIf(!hasChromium)("long lists", () => {
  let home: CoreHome;
  let person: Visit;
  let page: Page;

  beforeAll(async () => {
    home = await newHome();
    for (let number = 0; number < AGENTS; number += 1) {
      const id = `com.example.agent-${String(number).padStart(4, "0")}`;
      const folder = join(home.projects, id);
      mkdirSync(folder);
      writeFileSync(join(folder, "opensentience.agent.json"), manifestText(id, { name: `Agent number ${number}` }));
    }
    await home.json(["agents", "scan"]);
    person = await visit(home);
    page = await person.tab();
    await page.addInitScript(WATCH);
    await page.goto(await person.link());
  }, 120_000);
  afterAll(() => home.dispose());

  /** Milliseconds from the end of the last answer of that route to the first row on the screen. */
  const drawnAfter = (route: string, kind: string): Promise<number> =>
    page.evaluate<number>(
      `stood[${JSON.stringify(kind)}] - Math.min(...performance.getEntriesByType("resource")
        .filter(({ name, responseEnd }) => name.includes(${JSON.stringify(route)}) && responseEnd <= stood[${JSON.stringify(kind)}])
        .map(({ responseEnd }) => responseEnd).slice(-1))`,
    );

  test(`${AGENTS} agents stand soon after the answer, are found by typing and reached by scrolling`, async ({
    annotate,
  }) => {
    await page.locator(".agent-row").first().waitFor();
    const drawn = await drawnAfter("/api/v1/agents?", ".agent-row");
    await annotate(`first rows ${Math.round(drawn)} ms after the answer`);
    expect(drawn).toBeLessThan(MOST_MS);
    expect(await page.locator(".agent-row").count()).toBeLessThan(60);
    await page.evaluate("window.scrollTo(0, document.body.scrollHeight)");
    await page.getByText("Agent number 999").waitFor();
    await page.getByLabel("Search agents").fill("number 512");
    await page.getByText("Agent number 512").waitFor();
    expect(await page.locator(".agent-row").count()).toBe(1);
    await page.getByLabel("Search agents").fill("");
  });

  test("an audit log of many pages stands soon after the answer and scrolls to its first event", async ({
    annotate,
  }) => {
    await goTo(page, "/audit");
    await page.locator("button.audit-row").first().waitFor();
    const drawn = await drawnAfter("/api/v1/audit/events", "button.audit-row");
    await annotate(`first rows ${Math.round(drawn)} ms after the answer`);
    expect(drawn).toBeLessThan(MOST_MS);
    const list = page.getByRole("region", { name: "Audit events" });
    await list.focus();
    const first = page.locator(".audit-seq", { hasText: /^1$/ });
    for (let page_ = 0; page_ < 20 && (await first.count()) === 0; page_ += 1) {
      await list.press("End");
      await page.locator("button.audit-row").last().waitFor();
    }
    await first.waitFor();
    expect(await page.locator(".audit-row").count()).toBeLessThan(120);
    expect(person.faults).toEqual([]);
  });
});
