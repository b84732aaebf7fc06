/** What an approval grants beyond the box, and what it grants only from the next start on: said plainly, and for as long as it is so. */
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";

const AGENT = "com.example.narrowed";
const READ = "filesystem:read:~/notes/**";
const NEAR = "network:egress:10.1.2.3";

describe.skipIf(!hasChromium)("a grant", () => {
  let home: CoreHome;
  let person: Visit;
  let page: Page;

  beforeAll(async () => {
    home = await newHome();
    person = await visit(home);
    page = await person.open();
  }, 120_000);
  afterAll(() => home.dispose());

  const row = () => page.getByRole("listitem").filter({ hasText: AGENT });
  const press = (name: string | RegExp): Promise<void> => page.getByRole("button", { name }).click();

  test("that is narrowed while the agent runs is pending, everywhere, until a restart that is one press away", async () => {
    await smallAgentAt(home, AGENT, "running", { permissions: [READ, NEAR] });
    await goTo(page, `/agents/${AGENT}/permissions`);
    await page.getByText(`Approved like this it reaches nothing in a sandbox`, { exact: false }).waitFor();
    await page.getByText("network:egress:10.1.2.3:8080", { exact: false }).first().waitFor();
    await page.getByLabel(/Read every file under ~\/notes/).uncheck();
    await press("Approve 1 of 2");
    await page.getByText(`no longer approved: ${READ}; takes effect at the next start`).waitFor();
    const pending = page.getByRole("region", { name: "Approval pending" });
    await pending.getByText(READ).waitFor();
    await pending.getByText("Until then it keeps").waitFor();
    await goTo(page, "/");
    await row().getByText("Approval pending").waitFor();
    await row()
      .getByRole("button", { name: `Restart ${AGENT}` })
      .click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Restart" }).click();
    await row().getByText("Approval pending").waitFor({ state: "detached" });
    await row()
      .getByRole("button", { name: `Log ${AGENT}` })
      .waitFor();
    expect(person.faults).toEqual([]);
  });

  test("that takes something away names it where the focus goes, in the words of the command line", async () => {
    const fewer = "com.example.fewer";
    await smallAgentAt(home, fewer, "enabled", { permissions: [READ, NEAR] });
    await goTo(page, `/agents/${fewer}/permissions`);
    await page
      .getByText(/^Approved .* by /)
      .first()
      .waitFor();
    expect(await page.getByText("no longer approved").count()).toBe(0);
    await page.getByLabel(/Read every file under ~\/notes/).uncheck();
    await press("Approve 1 of 2");
    const line = (permission: string): string => `no longer approved: ${permission}; takes effect at once`;
    await page.getByText(line(READ), { exact: true }).waitFor();
    expect(await page.evaluate("document.activeElement.textContent")).toContain(line(READ));
    // What only adds takes nothing away.
    await page.getByLabel(/Read every file under ~\/notes/).check();
    await press("Approve 2 of 2");
    await page.getByText(line(READ)).waitFor({ state: "detached" });
    const { stderr } = await home.cli(["agents", "enable", fewer, "--approve", READ]);
    expect(stderr).toContain(line(NEAR));
    // It is the approval of somebody else: this page took nothing away.
    await page.getByRole("button", { name: "Approve 1 of 2" }).waitFor();
    expect(await page.getByText("no longer approved").count()).toBe(0);
    expect(person.faults).toEqual([]);
  });

  test("to an agent in trouble that is approved is not asked for again: its next step is a run", async () => {
    const crashing = "com.example.crashing";
    await smallAgentAt(
      home,
      crashing,
      "enabled",
      { name: "Crashes" },
      {
        "bin/agent": { text: "#!/bin/sh\nexit 3\n", mode: 0o755 },
      },
    );
    await home.fails(["agents", "run", crashing]);
    await goTo(page, "/");
    const trouble = page.getByRole("listitem").filter({ hasText: crashing });
    await trouble.getByText("Error").waitFor();
    await trouble.getByRole("button", { name: `Run ${crashing}` }).waitFor();
    expect(person.faults).toEqual([]);
  });

  test("to run without a sandbox needs an end, a warning read and a second press, and stands above every screen", async () => {
    const tools = join(home.projects, "../tools");
    mkdirSync(tools);
    for (const tool of ["sh", "git", "env", "sleep"]) symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
    const port = new URL(await person.address()).port;
    await home.json(["core", "restart"], {
      env: { OPENSENTIENCE_TOOLS_PATH: tools, OPENSENTIENCE_WEB_PORT: port },
    });
    await page.goto(await person.link());
    await page.getByRole("navigation", { name: "Screens" }).waitFor();
    await goTo(page, `/agents/${AGENT}/permissions`);
    const grant = page.getByLabel("Where no sandbox can be made, let it run without one");
    await page.getByText(/No sandbox can be made on this machine .*Core refuses to start it/).waitFor();
    const term = page.getByLabel("For how long");
    expect(await term.inputValue()).toBe("");
    await grant.check();
    expect(await term.inputValue()).toBe("1d");
    expect(await term.locator("option").allInnerTexts()).not.toContain("Until I revoke it");
    await term.selectOption("1h");
    await press(/without a sandbox…$/);
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText("nothing holds it to what you approve").waitFor();
    const confirm = dialog.getByRole("button", { name: "Approve without a sandbox" });
    expect(await confirm.isDisabled()).toBe(true);
    await dialog.getByLabel("I trust this code with everything that I can do myself").check();
    await confirm.click();
    await page.getByText("May run without a sandbox", { exact: true }).waitFor();
    await page.getByText("Where no sandbox can be made it may run without one.").waitFor();
    expect(await home.json(["agents", "info", AGENT])).toMatchObject({
      approval: { status: "active", unsandboxed: true, expires_at: expect.any(String) },
    });
    const notice = page.getByRole("region", { name: "Without a sandbox" });
    expect(await notice.count()).toBe(0);
    await home.json(["agents", "run", AGENT]);
    for (const place of ["/", `/agents/${AGENT}/log`, "/audit", "/settings"]) {
      await goTo(page, place);
      await notice.getByText("1 agent runs without a sandbox").waitFor();
      await notice.getByRole("link", { name: AGENT }).waitFor();
    }
    await goTo(page, "/");
    await row().getByText("No sandbox").waitFor();
    await home.json(["agents", "stop", AGENT]);
    await notice.waitFor({ state: "detached" });
    expect(person.faults.filter((fault) => !fault.includes("ERR_"))).toEqual([]);
  });
});
