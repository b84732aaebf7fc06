/** The whole story through the page alone, in a real browser: from the link to a verified audit log. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, type GitRepository, newHome } from "../support/core-home.ts";
import { pageAgent, PAGE_PERMISSIONS, pageAgentRepository } from "../support/page-agent.ts";
import { manifestText } from "../support/small-agent.ts";

const AGENT = "com.example.note-helper";

describe.skipIf(!hasChromium)("an operator with nothing but the page", () => {
  let home: CoreHome;
  let repository: GitRepository;
  let operator: Visit;
  let page: Page;

  beforeAll(async () => {
    home = await newHome({ env: { NOTES_LANGUAGE: "english-and-german" } });
    repository = await pageAgentRepository(AGENT);
    operator = await visit(home);
  });
  afterAll(() => home.dispose());
  const press = (name: string | RegExp): Promise<void> =>
    page.getByRole("button", { name, exact: typeof name === "string" }).click();
  const more = async (name: string): Promise<void> => {
    await press(/^More acts/);
    await page.getByRole("menuitem", { name }).click();
  };
  const inDialog = (name: string): Promise<void> =>
    page.locator("[role=dialog], [role=alertdialog]").getByRole("button", { name, exact: true }).click();
  const expectSaid = (text: string | RegExp): Promise<void> => page.locator(".notes").getByText(text).waitFor();
  const expectText = (text: string | RegExp): Promise<void> => page.getByText(text).first().waitFor();
  const tab = (name: string): Promise<void> => page.getByRole("tab", { name }).click();

  test("signs in by a link that leaves no code in the address", async () => {
    page = await operator.tab();
    const link = await operator.link();
    await page.goto(link);
    await page.getByRole("heading", { name: "Agents", level: 1 }).waitFor();
    expect(page.url()).not.toContain("code");
    await expectText("No agents yet");
    // A second use of the same link.
    const other = await visit(home);
    const late = await other.tab();
    await late.goto(link);
    await late.getByText("web.sign_in_refused").waitFor();
    await late.getByText("opensentience open").first().waitFor();
    expect(other.faults).toEqual([]);
    await other.context.close();
  });

  test("scans", async () => {
    const folder = join(home.projects, "found");
    mkdirSync(folder);
    writeFileSync(join(folder, "opensentience.agent.json"), manifestText("com.example.found", { name: "Found one" }));
    await press("Scan this machine");
    await inDialog("Scan");
    await page.getByRole("dialog").getByText("1 agent found: 1 new").waitFor();
    expect(await page.getByText("1 agent found: 1 new").count()).toBe(1);
    await inDialog("Close");
    const row = page.getByRole("listitem").filter({ hasText: "com.example.found" });
    await row.getByText("Found", { exact: true }).waitFor();
    await row.getByRole("button", { name: "Install com.example.found" }).waitFor();
  });

  test("installs from an address", async () => {
    await press("Install");
    await page.getByLabel("Address").fill(repository.url);
    await inDialog("Install");
    await expectText("install.url_not_allowed");
    await page.getByLabel("The repository is on this machine").check();
    await inDialog("Try again");
    await page.getByRole("heading", { name: /Note helper/, level: 1 }).waitFor();
    await expectSaid(`Installed ${AGENT} 1.0.0`);
  });

  test("builds, after it was told what that means and what will run", async () => {
    await press("Build");
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText("executes third-party code").waitFor();
    await dialog.getByText("node --check main.js").waitFor();
    await inDialog("Build");
    await expectSaid(`Built ${AGENT}`);
  });

  test("approves some of what is asked for", async () => {
    await press("Review");
    await expectText("Nothing is approved yet");
    const asked = page.getByRole("list").filter({ has: page.getByText("filesystem:read:~/notes/**") });
    for (const permission of PAGE_PERMISSIONS) await asked.getByText(permission).waitFor();
    await page.getByLabel(/Receive the environment variable NOTES_LANGUAGE/).check();
    await page.getByLabel(/Read every file under ~\/notes/).check();
    await press("Approve 2 of 3");
    await expectSaid("Approved 2 of 3 permissions");
    await expectText(/^Approved .* by /);
    await page.getByRole("list", { name: "Steps of this agent" }).getByText("2 of 3 permissions").waitFor();
  });

  test("runs it and watches its output", async () => {
    await press("Run");
    const dialog = page.getByRole("alertdialog");
    await dialog.getByText("executes third-party code").waitFor();
    await dialog.getByText("2 of 3 permissions approved").waitFor();
    const again = dialog.getByLabel("Start it again").getByRole("option");
    expect(await again.allInnerTexts()).toEqual(["As now: never", "Never", "When it fails", "Always"]);
    await inDialog("Run");
    const log = page.getByRole("log");
    await log.getByText("ready", { exact: true }).waitFor();
    expect(await log.getByText("ready", { exact: true }).getAttribute("class")).toBe("ansi-green");
    await log.getByText("beat 4").waitFor();
    await page.getByLabel("Stream").selectOption("stderr");
    await log.getByText("a warning, on stderr").waitFor();
    expect(await log.getByText("ready").count()).toBe(0);
    await page.getByLabel("Stream").selectOption("");
    await press("Pause");
    await page.getByRole("button", { name: /^Go on \(\d+ waiting\)/ }).click();
    await page.getByLabel("Search the output").fill("beat 4");
    await log.locator("mark").first().waitFor();
    await expectText("Healthy");
  });

  test("calls a tool whose output streams, and cancels another call", async () => {
    await tab("Tools");
    await page.getByLabel("to*").fill("3");
    await press("Call");
    await page.getByLabel("Streamed output").getByText("3", { exact: false }).waitFor();
    await expectText("Succeeded");
    await page.getByLabel("Result").getByText('"counted": 3').waitFor();
    await page.getByLabel("to*").fill("1000000");
    await page.getByLabel("pause_ms").fill("20");
    await press("Call");
    await page.getByLabel("Streamed output").getByText("5").first().waitFor();
    await press("Cancel the call");
    await page.getByText("Canceled", { exact: true }).waitFor();
    const ended = await home.json<{ items: { outcome: string }[] }>(["audit", "list", "--type", "tool.call_completed"]);
    expect(ended.items.length).toBeGreaterThanOrEqual(1);
    await page.getByLabel("to*").fill("0");
    await press("Call");
    await expectText("tool.invalid_input");
  });

  test("is told why an update cannot be now, and stops it first", async () => {
    await repository.commit(
      pageAgent(AGENT, { version: "1.1.0", permissions: ["filesystem:read:~/**", ...PAGE_PERMISSIONS.slice(0, 1)] }),
    );
    await more("Update…");
    await inDialog("Update");
    await expectText("install.running");
    await page.locator("[role=dialog]").getByText(`opensentience agents stop ${AGENT}`).waitFor();
    await inDialog("Close");
    await press(`Stop ${AGENT}`);
    await expectSaid(`${AGENT} is stopped`);
    await more("Update…");
    await inDialog("Update");
    await expectSaid(`Updated ${AGENT} to 1.1.0`);
  });

  test("sees what moved and approves it again", async () => {
    await expectText("Drifted");
    await tab("Permissions");
    const moved = page.getByRole("region", { name: "What moved since you approved" });
    await moved.getByText("filesystem:read:~/**").waitFor();
    await moved.getByText("Another commit").waitFor();
    await press("Build");
    await inDialog("Build");
    await expectSaid(`Built ${AGENT}`);
    await press("Choose all");
    await page.getByLabel("For how long").selectOption("7d");
    await press("Approve 2 of 2");
    await expectText(/for another 6 d/);
    expect(await page.getByText("Drifted").count()).toBe(0);
    await press("Run");
    await inDialog("Run");
    await page.getByRole("log").getByText("beat 2").waitFor();
  });

  test("stops and revokes", async () => {
    await press(`Stop ${AGENT}`);
    await expectSaid(`${AGENT} is stopped`);
    await more("Revoke approval…");
    await inDialog("Revoke");
    await expectSaid(`Revoked the approval of ${AGENT}`);
    await expectText("The approval is revoked");
  });

  test("is offered for a folder run in place only what can be done with it", async () => {
    const offered = async (): Promise<string[]> => {
      await press(/^More acts/);
      await page.getByRole("menuitem", { name: "Remove…" }).waitFor();
      return (await page.getByRole("menuitem").allTextContents()).map((name) => name.trim());
    };
    // Its approval is revoked.
    const revoked = await offered();
    expect(revoked).toContain("Update…");
    expect(revoked).not.toContain("Run…");
    await page.keyboard.press("Escape");
    await home.json(["agents", "install", "--dev", join(home.projects, "found")]);
    await page.getByRole("link", { name: "Agents", exact: true }).first().click();
    await page.getByRole("link", { name: /Found one/ }).click();
    await page.getByRole("heading", { name: /Found one/, level: 1 }).waitFor();
    const inPlace = await offered();
    for (const name of ["Update…", "Roll back…", "Run…"]) expect(inPlace).not.toContain(name);
    await page.getByRole("menuitem", { name: "Remove…" }).click();
    await expectText(/Leaves its folder as it is.*deletes its own data/);
    // As on the command line, the data goes unless it is to be kept.
    expect(await page.getByLabel("Keep its own data").isChecked()).toBe(false);
    await inDialog("Remove");
    await expectSaid("Removed what was installed of com.example.found");
    expect(existsSync(join(home.projects, "found/opensentience.agent.json"))).toBe(true);
  });

  test("verifies the audit log and reads one act of it", async () => {
    await page.getByRole("link", { name: "Audit" }).click();
    await press("Verify");
    await expectText("The log is intact");
    await page.getByLabel("Event type").fill("agent.permissions_revoked");
    const row = page.getByRole("button", { name: /agent\.permissions_revoked/ }).first();
    await row.click();
    await page.getByRole("heading", { name: "agent.permissions_revoked" }).waitFor();
    await page.getByRole("heading", { name: "The whole act" }).waitFor();
    await page.getByRole("link", { name: "Show only this act in the list" }).click();
    await page.getByRole("button", { name: /^One act: / }).waitFor();
    const exported = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export these" }).click();
    const file = await exported;
    expect(file.suggestedFilename()).toBe("audit.jsonl");
    const rows = readFileSync(await file.path(), "utf8")
      .trimEnd()
      .split("\n");
    const shown = rows.map((row) => JSON.parse(row) as { event_type: string });
    expect(shown.map(({ event_type: type }) => type)).toContain("agent.permissions_revoked");
  });

  test("looks at the machine, signs out, and has seen no console message", async () => {
    await page.getByRole("link", { name: "Doctor" }).click();
    await expectText("bubblewrap");
    await page.getByRole("link", { name: "Settings" }).click();
    await expectText("web.port");
    await press("Sign out");
    await expectText("Sign in with a link from your terminal");
    await page.reload();
    await expectText("Sign in with a link from your terminal");
    expect(operator.faults).toEqual([]);
  });
});
