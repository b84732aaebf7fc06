/**
 * The pictures of docs/page.md, of real screens of a real Core: `npm run pictures`, which names the folder for them in
 * PAGE_PICTURES. No part of the suite: a picture holds times and would be another one each time.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, type Look, visit } from "../support/browser.ts";
import { type CoreHome, eventually, EXAMPLES, gitRepository, newHome } from "../support/core-home.ts";
import { pageAgent } from "../support/page-agent.ts";
import { manifestText } from "../support/small-agent.ts";

const FOLDER = process.env["PAGE_PICTURES"] ?? "";
const HELPER = "com.example.note-helper";
const MAIL = "com.example.mail-sorter";

type Picture = { name: string; look: Look; place: string; shows: string; next?: (page: Page) => Promise<void> };

const WIDE: Look = { width: 1180, height: 740 };
const PICTURES: Picture[] = [
  { name: "agents", look: WIDE, place: "/", shows: "Healthy", next: (page) => page.getByText("Drifted").waitFor() },
  {
    name: "review",
    look: { ...WIDE, height: 900 },
    place: `/agents/${MAIL}/permissions`,
    shows: "What moved since you approved",
  },
  { name: "log", look: { ...WIDE, height: 900, theme: "dark" }, place: `/agents/${HELPER}/log`, shows: "beat" },
  {
    name: "tool",
    look: { ...WIDE, height: 900, theme: "dark" },
    place: `/agents/${HELPER}/tools`,
    shows: "How far to count.",
    next: async (page) => {
      await page.getByLabel("to*").fill("12");
      await page.getByRole("button", { name: "Call", exact: true }).click();
      await page.getByText("Succeeded").waitFor();
    },
  },
  {
    name: "audit",
    look: WIDE,
    place: `/audit?agent=${MAIL}`,
    shows: "agent.enabled",
    next: async (page) => {
      await page.getByRole("button", { name: "Verify" }).click();
      await page.getByText("The log is intact").waitFor();
      await page
        .getByRole("button", { name: /agent\.enabled/ })
        .first()
        .click();
      await page.getByRole("heading", { name: "The whole act" }).waitFor();
    },
  },
  { name: "telephone", look: { width: 360, height: 740, theme: "dark" }, place: "/", shows: "Healthy" },
];

describe.skipIf(!hasChromium)("pictures of the page", () => {
  let home: CoreHome;

  beforeAll(async () => {
    home = await newHome({ env: { NOTES_LANGUAGE: "english-and-german" } });
    const act = (...args: string[]): Promise<unknown> => home.json(["agents", ...args]);
    const enabled = async (id: string, url: string): Promise<void> => {
      await act("install", url, "--allow-local");
      await act("build", id, "--yes");
      await act("enable", id, "--all");
    };
    await enabled(HELPER, (await gitRepository("note-helper", pageAgent(HELPER))).url);
    const asks = (permissions: string[]) => ({
      name: "Mail sorter",
      description: "Sorts mail into folders.",
      permissions,
    });
    const mail = await gitRepository(
      "mail",
      pageAgent(MAIL, asks(["filesystem:write:~/Mail/**", "env:read:HOME_MAIL"])),
    );
    await enabled(MAIL, mail.url);
    await mail.commit(
      pageAgent(MAIL, {
        ...asks(["filesystem:write:~/**", "network:egress:*:993", "env:read:HOME_MAIL"]),
        version: "1.1.0",
      }),
    );
    await act("update", MAIL, "--allow-local");
    await act("build", MAIL, "--yes");
    const watch = "org.opensentience.examples.disk-watch";
    await enabled(watch, (await gitRepository("disk", { copyOf: join(EXAMPLES, "disk-watch") })).url);
    await act(
      "install",
      (await gitRepository("links", { copyOf: join(EXAMPLES, "link-checker") })).url,
      "--allow-local",
    );
    mkdirSync(join(home.projects, "found"));
    writeFileSync(
      join(home.projects, "found", "opensentience.agent.json"),
      manifestText("com.example.hello-python", { name: "Hello from Python" }),
    );
    await act("scan");
    await act("run", HELPER);
    await home.json(["agents", "run", watch, "--", "--every", "1"]);
    const tools = (): Promise<{ items: unknown[] }> => home.json(["tools", "list", "--agent", HELPER]);
    await eventually(async () => (await tools()).items.length === 1, "the tool");
    // A chart says something once it has a few samples of a page that looks and of tools that are called.
    mkdirSync(FOLDER, { recursive: true });
    const watching = await visit(home);
    await watching.open();
    for (let count = 1; count <= 30; count += 1)
      await home.json(["tools", "call", `${HELPER}/count`, "--input", JSON.stringify({ to: count, pause_ms: 20 })]);
    await watching.context.close();
  }, 120_000);
  afterAll(() => home.dispose());

  test.for(PICTURES)("$name", async ({ name, look, place, shows, next }) => {
    const person = await visit(home, look);
    const page = await person.open(place);
    await page.getByText(shows).first().waitFor();
    await next?.(page);
    await page.evaluate("document.activeElement?.blur()");
    const picture = await page.screenshot({ path: join(FOLDER, `${name}.png`), animations: "disabled" });
    expect(picture.length).toBeGreaterThan(10_000);
    expect(person.faults).toEqual([]);
    await person.context.close();
  });
});
