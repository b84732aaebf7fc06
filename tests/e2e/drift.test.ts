/** An approved agent that is no longer what was approved: what the page says of it, and the one way on that it offers. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";

const AGENT = "com.example.moved";
const READ = "filesystem:read:/proc/meminfo";
const WIDE = "filesystem:read:/proc/**";
const DECLINED = "network:egress:example.com:443";
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
    writeFileSync(join(home.sourceOf(AGENT), MANIFEST), manifestText(AGENT, { permissions: [WIDE, DECLINED, FRESH] }));
    await goTo(page, "/");
    await home.json(["agents", "diff", AGENT]);
    await page.reload();
    await goTo(page, `/agents/${AGENT}/permissions`);
    await word(WIDE, "wider");
    await word(FRESH, "new");
    await word(DECLINED, "not approved");
    expect(await page.locator(".permission").getByText("new", { exact: true }).count()).toBe(1);
    await page.getByRole("button", { name: "Review change" }).waitFor();
    expect(person.faults).toEqual([]);
  });
});
