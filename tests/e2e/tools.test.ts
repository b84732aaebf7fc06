/** Calls from the page: they outlive the screen that began them, their channels stay apart, and every input can be given. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, eventually, gitRepository, newHome } from "../support/core-home.ts";
import { formAgent } from "../support/form-agent.ts";

const AGENT = "com.example.forms";

describe.skipIf(!hasChromium)("a tool that is called from the page", () => {
  let home: CoreHome;
  let person: Visit;
  let page: Page;

  beforeAll(async () => {
    home = await newHome({ env: { FORM_LANGUAGE: "english" } });
    await home.json(["agents", "install", (await gitRepository("forms", formAgent(AGENT))).url, "--allow-local"]);
    person = await visit(home);
    page = await person.open(`/agents/${AGENT}`);
  }, 120_000);
  afterAll(() => home.dispose());

  const call = (): Promise<void> => page.getByRole("button", { name: "Call", exact: true }).click();
  const tool = async (name: string): Promise<void> => {
    await goTo(page, `/agents/${AGENT}/tools?tool=${name}`);
    await page.getByRole("heading", { name, exact: true }).waitFor();
  };
  const streamed = () => page.getByLabel("Streamed output");
  const result = () => page.getByLabel("Result");

  test("is of an agent whose build is shown as a shell would need it written", async () => {
    await page.getByRole("button", { name: "Build" }).click();
    await page.getByText(`node -e 'let a = '\\''two words'\\''' 'a b'`).waitFor();
    await page.keyboard.press("Escape");
    await home.json(["agents", "build", AGENT, "--yes"]);
    await home.json(["agents", "enable", AGENT, "--all"]);
    await home.json(["agents", "run", AGENT]);
    const tools = (): Promise<{ items: unknown[] }> => home.json(["tools", "list", "--agent", AGENT]);
    await eventually(async () => (await tools()).items.length === 6, "the tools");
    expect(person.faults).toEqual([]);
  });

  test("is said to need a permission where that is not approved, and is still chosen when one comes back to it", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await tool("wait");
    const choice = (name: string) => page.getByRole("list", { name: "Tools" }).getByRole("button", { name });
    expect(await choice("locked").getByTitle("Not approved: env:read:NOT_APPROVED").innerText()).toBe(
      "needs a permission",
    );
    expect(await page.getByText("needs a permission").count()).toBe(1);
    // The act that leads to the log is none where the log is.
    await page.getByRole("button", { name: "Log", exact: true }).waitFor();
    await page.getByRole("tab", { name: "Runs & log" }).click();
    await page.getByRole("log").waitFor();
    expect(await page.getByRole("button", { name: "Log", exact: true }).count()).toBe(0);
    await goTo(page, "/bogus");
    await page.getByText("This address does not exist").waitFor();
    await goTo(page, `/agents/${AGENT}/bogus`);
    await page.getByText("An agent has no such part").waitFor();
    expect(await page.getByRole("tab", { selected: true }).count()).toBe(0);
    await goTo(page, `/agents/${AGENT}`);
    await page.getByRole("tab", { name: "Tools" }).click();
    await page.getByRole("heading", { name: "wait", exact: true }).waitFor();
    const seen = await choice("wait").boundingBox();
    expect(seen?.x).toBeGreaterThanOrEqual(0);
    expect((seen?.x ?? 360) + (seen?.width ?? 0)).toBeLessThanOrEqual(360);
    await page.setViewportSize({ width: 1280, height: 860 });
  });

  test("stands in a strip that fades on each side on which there is more, and on none where all of it is seen", async () => {
    const list = page.getByRole("list", { name: "Tools" });
    const more = (): Promise<string | null> => list.getAttribute("data-more");
    const fades = (): Promise<boolean> =>
      page.evaluate<boolean>(
        `getComputedStyle(document.querySelector(".tool-list")).maskImage.startsWith("linear-gradient")`,
      );
    await tool("speak");
    await expect.poll(more).toBe(null);
    expect(await fades()).toBe(false);
    await page.setViewportSize({ width: 360, height: 740 });
    await list.evaluate((strip) => strip.scrollTo({ left: 0 }));
    await expect.poll(more).toBe("right");
    expect(await fades()).toBe(true);
    await list.evaluate((strip) => strip.scrollTo({ left: 60 }));
    await expect.poll(more).toBe("left right");
    // Whoever goes on by keyboard has what is chosen next whole, not in the part that fades.
    await list.getByRole("button").first().focus();
    for (let count = 0; count < 5; count += 1) await page.keyboard.press("Tab");
    await expect.poll(more).toBe("left");
    await page.keyboard.press("Shift+Tab");
    const focused = (): Promise<number> => page.evaluate<number>("document.activeElement.getBoundingClientRect().left");
    await expect.poll(focused).toBeGreaterThanOrEqual(((await list.boundingBox())?.x ?? 0) + 48);
    await page.setViewportSize({ width: 1280, height: 860 });
    await expect.poll(more).toBe(null);
  });

  test("shows each channel apart, in its order", async () => {
    await tool("speak");
    await call();
    await page.getByText("Succeeded").waitFor();
    const parts = await streamed().locator(".stream-part").allInnerTexts();
    expect(parts.map((part) => part.split("\n"))).toEqual([
      ["stdout", "first line", "and half a line"],
      ["stderr", "careful"],
      ["stdout", ", the other half"],
      ["log", "looking at 3 files"],
      ["status", "two of three"],
      ["partial result", "{", '  "found": 2', "}"],
      ["stdout", "last line"],
    ]);
    const colours = await page.evaluate<string[]>(
      "[...document.querySelectorAll('.stream-part')].map((part) => getComputedStyle(part).borderLeftColor)",
    );
    expect(new Set(colours).size).toBe(5);
  });

  test("goes on while other screens are looked at, and can be canceled where it was", async () => {
    await tool("wait");
    expect(await page.getByLabel("pause_ms").evaluate((field) => field.tagName)).toBe("INPUT");
    await call();
    await streamed().getByText("tick 2").waitFor();
    await page.getByRole("tab", { name: "Runs & log" }).click();
    await page.getByRole("log").waitFor();
    await page
      .getByRole("tab", { name: /^Tools/ })
      .getByTitle("Calls under way")
      .waitFor();
    await goTo(page, "/audit");
    await page.getByRole("heading", { name: "Audit" }).waitFor();
    await tool("speak");
    await page.getByRole("button", { name: /^wait/ }).getByText("call under way").waitFor();
    await tool("wait");
    await streamed().getByText("tick 1").waitFor();
    const before = (await streamed().innerText()).length;
    await expect.poll(async () => (await streamed().innerText()).length).toBeGreaterThan(before);
    await page.getByRole("button", { name: "Cancel the call" }).click();
    await page.getByText("Canceled", { exact: true }).waitFor();
    await page.getByText(/^after [\d.]+ m?s$/).waitFor();
    const ended = async (): Promise<boolean> => {
      const { items } = await home.json<{ items: { metadata: { status: string } }[] }>([
        "audit",
        "list",
        "--type",
        "tool.call_completed",
        "--limit",
        "1",
      ]);
      return items[0]?.metadata.status === "canceled";
    };
    await eventually(ended, "the record of the canceled call");
    await tool("speak");
    await tool("wait");
    await page.getByText("Canceled", { exact: true }).waitFor();
    await streamed().getByText("tick 2").waitFor();
  });

  test("takes texts of many lines, any JSON, and names the field that Core refused", async () => {
    await tool("note");
    const name = page.getByLabel("name*");
    expect(await name.evaluate((field) => field.tagName)).toBe("INPUT");
    const about = page.getByLabel("about", { exact: true });
    const body = page.getByLabel("body");
    for (const lines of [about, body]) expect(await lines.evaluate((field) => field.tagName)).toBe("TEXTAREA");
    await call();
    const fault = page.locator(".rjsf-field-error", { has: name });
    await fault.getByText(/name.* is missing/).waitFor();
    await name.fill("x");
    await about.fill("one\ntwo");
    await call();
    await fault.getByText(/name.* must have at least 3 characters/).waitFor();
    expect(await fault.count()).toBe(1);
    expect(await page.locator(".rjsf-field-error", { has: about }).count()).toBe(0);
    await name.fill("a name");
    // Of a value that fits no alternative the member that is wrong says so itself.
    const alternative = page.getByLabel("Kind of to");
    await alternative.selectOption({ label: "A host" });
    await page.getByLabel("port").fill("0");
    await call();
    const port = page.locator(".rjsf-field-error", { has: page.getByLabel("port") }).last();
    await port.getByText("0 is less than 1", { exact: false }).waitFor();
    await page
      .locator(".rjsf-field-error", { has: page.getByLabel("host") })
      .last()
      .getByText("This is missing.")
      .waitFor();
    await page.getByLabel("host").fill("example.com");
    await page.getByLabel("port").fill("1");
    const meta = page.getByLabel("meta");
    await meta.fill('{"deep": [1, ');
    await expect.poll(() => page.getByRole("button", { name: "Call", exact: true }).isDisabled()).toBe(true);
    await meta.fill('{"deep": [1, null]}');
    await call();
    await page.getByText("Succeeded").waitFor();
    expect(JSON.parse(await result().innerText())).toEqual({
      name: "a name",
      about: "one\ntwo",
      meta: { deep: [1, null] },
      to: { host: "example.com", port: 1 },
    });
    // What was typed stays where it was.
    await page.getByRole("tab", { name: "Overview" }).click();
    await tool("note");
    expect(await page.getByLabel("about", { exact: true }).inputValue()).toBe("one\ntwo");
  });

  test("begins with the defaults of its schema, sends what is shown, and nothing that was emptied", async () => {
    await tool("preset");
    const value = (name: string): Promise<string> => page.getByLabel(name, { exact: true }).inputValue();
    expect(await Promise.all(["depth", "path*", "order", "port", "wrong", "day"].map(value))).toEqual([
      ...["3", "/srv/notes", "1", "80", "", ""],
    ]);
    const succeeded = async (): Promise<unknown> => {
      await call();
      await page.getByText("Succeeded").waitFor();
      return JSON.parse(await result().innerText()) as unknown;
    };
    await call();
    const other = page.locator(".rjsf-field-error", { has: page.getByLabel("other*") });
    await other.getByText(/other.* is missing/).waitFor();
    expect(await page.locator(".rjsf-field-error").count()).toBe(1);
    await page.getByLabel("other*").fill("x");
    const kept = { path: "/srv/notes", order: "old", tags: ["a", "b"], near: { port: 80 }, off: false, other: "x" };
    expect(await succeeded()).toEqual({ ...kept, depth: 3, deep: true, any: { deep: [1] } });
    await page.getByLabel("depth").fill("");
    await page.getByLabel("any", { exact: true }).fill("");
    await page.getByLabel("deep", { exact: true }).uncheck();
    // It stays empty when one comes back to it.
    await page.getByRole("tab", { name: "Overview" }).click();
    await tool("preset");
    expect(await value("depth")).toBe("");
    await call();
    await expect.poll(() => result().innerText()).not.toContain("depth");
    expect(JSON.parse(await result().innerText())).toEqual({ ...kept, deep: false });
    expect(person.faults).toEqual([]);
  });

  test("is written as JSON where its schema makes no form", async () => {
    await tool("either");
    await page.getByText("No form can be made of its schema").waitFor();
    expect(JSON.parse(await page.getByLabel("Input as JSON").inputValue())).toEqual({ kind: "b" });
    await page.getByLabel("Input as JSON").fill('{"kind": "a"}');
    await call();
    await page.getByText("tool.invalid_input").waitFor();
    await page.getByLabel("Input as JSON").fill('{"kind": "a", "of_a": "x"}');
    await call();
    await result().getByText('"of_a": "x"').waitFor();
    expect(person.faults).toEqual([]);
  });

  test("keeps what it gave when its agent has stopped", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.getByRole("button", { name: `Stop ${AGENT}` }).click();
    const note = page.locator(".note").getByText(`${AGENT} is stopped`);
    await note.waitFor();
    await page.getByRole("button", { name: "Run", exact: true }).click();
    // What is said lies over no button of a dialog.
    const buttons = page.locator(".dialog-buttons");
    await buttons.waitFor();
    const [said, below] = [await note.boundingBox(), await buttons.boundingBox()];
    expect((said?.y ?? 740) + (said?.height ?? 0)).toBeLessThan(below?.y ?? 0);
    await page.keyboard.press("Escape");
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.getByText("not offered now").first().waitFor();
    await goTo(page, `/agents/${AGENT}/tools?tool=speak`);
    await streamed().getByText("last line").waitFor();
    expect(person.faults).toEqual([]);
  });

  test("leaves nothing of its output in any tab once somebody signed out in one", async () => {
    const other = await person.open("/settings");
    await other.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You signed out in another tab.").waitFor();
    await page.goto(await person.link());
    await page.getByRole("navigation", { name: "Screens" }).waitFor();
    await goTo(page, `/agents/${AGENT}/tools`);
    await page.getByText("It does not run", { exact: true }).waitFor();
    expect(await page.getByText("not offered now").count()).toBe(0);
    expect(person.faults.filter((fault) => !fault.includes("401"))).toEqual([]);
  });

  test("whose Core is lost meanwhile says so, and that it may have had its effect", async () => {
    await home.json(["agents", "run", AGENT]);
    await tool("wait");
    await page.getByRole("button", { name: "Call", exact: true, disabled: false }).click();
    await streamed().getByText("tick 2").waitFor();
    process.kill(await home.corePid(), "SIGKILL");
    await page.getByText("Core was lost while the call ran. The call may have had its effect.").waitFor();
    expect(await page.getByText("page.").count()).toBe(0);
    await streamed().getByText("tick 1").waitFor();
  });
});
