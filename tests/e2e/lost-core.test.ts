/** Core is lost while an act of the page is under way: nobody knows how far it got, and the page says so. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, newHome } from "../support/core-home.ts";
import { smallAgentAt } from "../support/small-agent.ts";

const AGENT = "com.example.waits";
const LOST = "The connection to Core was lost before it had answered. What came of this is not known";

describe.skipIf(!hasChromium)("an act whose Core is lost", () => {
  let home: CoreHome;
  let person: Visit;
  let page: Page;
  let silent: Server;
  const connections: Socket[] = [];

  beforeAll(async () => {
    home = await newHome();
    // Takes the connection and never says a word.
    silent = createServer((socket) => connections.push(socket.on("error", () => {})));
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const wait = { build: { steps: [{ phase: "compile", argv: ["sh", "-c", "echo begun; exec sleep 1000"] }] } };
    await smallAgentAt(home, AGENT, "installed", wait);
    person = await visit(home);
    page = await person.open();
  }, 120_000);
  afterAll(async () => {
    for (const socket of connections) socket.destroy();
    silent.close();
    await home.dispose();
  });

  const dialog = () => page.getByRole("dialog").or(page.getByRole("alertdialog"));
  const said = () => dialog().getByRole("alert");

  /** The words, what to do, and that neither the browser's own words nor a code of the page's are shown. */
  async function expectLost(): Promise<void> {
    await said().getByText(LOST).waitFor();
    await said().getByText("opensentience core start", { exact: true }).waitFor();
    expect(await said().innerText()).not.toMatch(/network error|failed to fetch|page\./i);
  }

  test("in the middle of an install that it was telling of", async () => {
    await page.getByRole("button", { name: "Install", exact: true }).click();
    await dialog()
      .getByLabel("Address")
      .fill(`https://127.0.0.1:${(silent.address() as AddressInfo).port}/silent.git`);
    const connected = once(silent, "connection");
    await dialog().getByRole("button", { name: "Install", exact: true }).click();
    await connected;
    await dialog().getByRole("log").getByText("asking the repository").waitFor();
    process.kill(await home.corePid(), "SIGKILL");
    await expectLost();
    // What the page says to do next, and then there is a way back: a new session on the same place.
    const { port } = new URL(page.url());
    expect((await home.cli(["core", "start"], { env: { OPENSENTIENCE_WEB_PORT: port } })).code).toBe(0);
    await page.getByText("Your session ended").waitFor();
  });

  test("in the middle of a build, and before it answered at all", async () => {
    await page.goto(await person.link());
    await page.getByRole("navigation", { name: "Screens" }).waitFor();
    await goTo(page, `/agents/${AGENT}`);
    await page.getByRole("button", { name: "Build", exact: true }).click();
    await dialog().getByRole("button", { name: "Build", exact: true }).click();
    await dialog().getByRole("log").getByText("begun").waitFor();
    process.kill(await home.corePid(), "SIGKILL");
    await expectLost();
    await dialog().getByRole("button", { name: "Try again" }).click();
    await dialog().getByRole("log").getByText("begun").waitFor({ state: "detached" });
    await expectLost();
    expect(person.faults.filter((fault) => !fault.includes("ERR_"))).toEqual([]);
  });
});
