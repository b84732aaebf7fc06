/** Every screen for everybody: read out, by keyboard alone, in both themes, from a telephone to a wide monitor. */
import axe from "axe-core";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit } from "../support/browser.ts";
import { type CoreHome, newHome, writeFiles } from "../support/core-home.ts";
import { pageAgentRepository } from "../support/page-agent.ts";
import { MANIFEST, manifestText, smallAgentAt } from "../support/small-agent.ts";

const AGENT = "com.example.note-helper";
const DRIFTED = "com.example.drifted";

type Screen = { name: string; place: string; shows: string; next?: (page: Page) => Promise<void> };

const agent = (tab: string): string => `/agents/${AGENT}/${tab}`;
const SCREENS: Screen[] = [
  { name: "agents", place: "/", shows: "Note helper" },
  { name: "overview", place: agent("overview"), shows: "What it is" },
  { name: "permissions", place: agent("permissions"), shows: "What it asks for" },
  { name: "drift", place: `/agents/${DRIFTED}/permissions`, shows: "What moved since you approved" },
  { name: "log", place: agent("log"), shows: "beat" },
  { name: "build log", place: `${agent("log")}?run=build`, shows: "it succeeded." },
  { name: "tools", place: agent("tools"), shows: "How far to count." },
  { name: "manifest", place: agent("manifest"), shows: "What Core reads in it" },
  { name: "audit", place: "/audit", shows: "agent.run_started" },
  {
    name: "audit event",
    place: "/audit",
    shows: "agent.run_started",
    next: async (page) => {
      await page
        .getByRole("button", { name: /agent\.run_started/ })
        .first()
        .click();
      await page.getByRole("heading", { name: "The whole act" }).waitFor();
    },
  },
  {
    name: "types of events",
    place: "/audit",
    shows: "agent.run_started",
    next: async (page) => {
      await page.getByLabel("Event type").click();
      await page.getByRole("listbox").getByRole("option").first().waitFor();
    },
  },
  {
    name: "without a sandbox",
    place: agent("permissions"),
    shows: "What it asks for",
    next: async (page) => {
      await page.getByLabel("Where no sandbox can be made, let it run without one").check();
      await page.getByRole("button", { name: /without a sandbox…$/ }).click();
      await page.getByRole("alertdialog").waitFor();
    },
  },
  { name: "doctor", place: "/doctor", shows: "bubblewrap" },
  { name: "settings", place: "/settings", shows: "web.session_idle_ms" },
  {
    name: "run dialog",
    place: agent("overview"),
    shows: "What it is",
    next: async (page) => {
      await page.getByRole("button", { name: "Restart", exact: true }).click();
      await page.getByRole("alertdialog").waitFor();
    },
  },
  { name: "no such address", place: "/bogus", shows: "This address does not exist" },
  { name: "no such agent", place: "/agents/com.example.nobody", shows: "agent.not_found" },
];

/** Both themes and both ends of the widths. */
const LOOKS = [
  { theme: "light", width: 1440 },
  { theme: "dark", width: 360 },
] as const;

describe.skipIf(!hasChromium)("the page for everybody", () => {
  let home: CoreHome;
  beforeAll(async () => {
    home = await newHome({ env: { NOTES_LANGUAGE: "english-and-german" } });
    const repository = await pageAgentRepository(AGENT);
    await home.json(["agents", "install", repository.url, "--allow-local"]);
    await home.json(["agents", "build", AGENT, "--yes"]);
    await home.json(["agents", "enable", AGENT, "--all"]);
    await home.json(["agents", "run", AGENT]);
    await smallAgentAt(home, DRIFTED, "enabled", { permissions: ["filesystem:read:~/a/**"] });
    await writeFiles(home.sourceOf(DRIFTED), {
      [MANIFEST]: manifestText(DRIFTED, { permissions: ["filesystem:read:~/**", "network:egress:*"], name: "Other" }),
      "added.txt": "new",
    });
  }, 120_000);
  afterAll(() => home.dispose());

  for (const { theme, width } of LOOKS) {
    test(`axe finds nothing serious and nothing is cut off, ${theme}, ${width} px wide`, async () => {
      const person = await visit(home, { width, height: 900, theme });
      const page = await person.open();
      const found: Record<string, string[]> = {};
      for (const screen of SCREENS) {
        await goTo(page, screen.place);
        await page.getByText(screen.shows).first().waitFor();
        await screen.next?.(page);
        found[screen.name] = await findings(page);
        await page.keyboard.press("Escape");
      }
      await page.context().clearCookies();
      await page.reload();
      await page.getByText("Sign in with a link from your terminal").waitFor();
      found["sign-in"] = await findings(page);
      expect(found).toEqual(Object.fromEntries(Object.keys(found).map((screen) => [screen, []])));
      expect(person.faults).toEqual([]);
      await person.context.close();
    });
  }

  test("on a telephone nothing that has the focus is hidden behind the bars at its edges", async () => {
    const person = await visit(home, { width: 360, height: 480 });
    const page = await person.open(agent("permissions"));
    await page.getByText("What it asks for").first().waitFor();
    const keys = new Keyboard(page);
    const hidden: string[] = [];
    for (const key of ["Tab", "Shift+Tab"])
      for (let count = 0; count < 30; count += 1) {
        await keys.press(key);
        // A browser scrolls to what has the focus with the next frame.
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
        if (await page.evaluate<boolean>(BEHIND_A_BAR)) hidden.push(`${key}: ${(await keys.focused()).slice(0, 40)}`);
      }
    expect(hidden).toEqual([]);
    await person.context.close();
  });

  test("an agent is found, stopped, run, watched and called by keyboard alone", async () => {
    const person = await visit(home);
    const page = await person.open();
    await page.getByText("Note helper").first().waitFor();
    const keys = new Keyboard(page);
    await keys.press("Tab");
    expect(await keys.focused()).toBe("Skip to the content");
    await keys.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("content");
    await keys.press("/");
    await keys.type("helper");
    await page.getByText(DRIFTED).waitFor({ state: "detached" });
    await keys.tabTo("Note helper");
    await keys.press("Enter");
    await page.getByRole("heading", { name: /Note helper/, level: 1 }).waitFor();
    await keys.tabTo(`Stop ${AGENT}`);
    await keys.press("Enter");
    await page.getByText(`${AGENT} is stopped`).waitFor();
    await page.getByRole("button", { name: "Run", exact: true }).waitFor();
    await keys.tabTo("Run", "backward");
    await keys.press("Enter");
    await page.getByRole("alertdialog").waitFor();
    await keys.tabTo("Run");
    await keys.press("Enter");
    await page.getByRole("log").getByText("beat 2").first().waitFor();
    await keys.tabTo("Runs & log");
    await keys.press("ArrowRight");
    await keys.press("Enter");
    await page.getByText("How far to count.").first().waitFor();
    await keys.tabTo("to*");
    await keys.type("2");
    await keys.tabTo("Call");
    await keys.press("Enter");
    await page.getByLabel("Result").getByText('"counted": 2').waitFor();
    await keys.tabTo(`More acts on ${AGENT}`, "backward");
    await keys.press("Enter");
    await page.getByRole("menuitem", { name: "Revoke approval…" }).waitFor();
    await keys.press("Escape");
    // With the frame after the one that closes the menu.
    await expect.poll(() => keys.focused()).toBe(`More acts on ${AGENT}`);
    expect(person.faults).toEqual([]);
  });
});

/** Serious and critical findings of axe, and whether the page is wider than its window; one line each. */
async function findings(page: Page): Promise<string[]> {
  if (!(await page.evaluate<boolean>("'axe' in globalThis"))) await page.evaluate(axe.source);
  // A dialog that is still appearing is none for axe yet, and what holds the focus inside of it would be a fault.
  await page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))");
  const { violations } = await page.evaluate<AxeResults>("axe.run(document, { resultTypes: ['violations'] })");
  const wider = await page.evaluate<number>("document.documentElement.scrollWidth - window.innerWidth");
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return [
    ...serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`),
    ...(wider > 0 ? [`${wider} px too wide`] : []),
  ];
}

/** Whether what has the focus lies, in part at least, behind the bar above or the places below. */
const BEHIND_A_BAR = `(() => {
  const one = document.activeElement;
  const bars = [...document.querySelectorAll(".bar, .places")];
  if (one === document.body || bars.some((bar) => bar.contains(one)) || one.closest(".skip") !== null) return false;
  const { top, bottom, height } = one.getBoundingClientRect();
  const above = document.querySelector(".bar").getBoundingClientRect().bottom;
  const below = document.querySelector(".places").getBoundingClientRect().top;
  return height < below - above && (top < above || bottom > below);
})()`;

const MANY_TABS = 60;

class Keyboard {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  press(key: string): Promise<void> {
    return this.#page.keyboard.press(key);
  }

  type(text: string): Promise<void> {
    return this.#page.keyboard.type(text);
  }

  /** What a screen reader would call the focused element. */
  focused(): Promise<string> {
    return this.#page.evaluate<string>(
      `(() => { const one = document.activeElement;
        return one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent.trim(); })()`,
    );
  }

  /** Tab until that one has the focus; every stop on the way must be visible. */
  async tabTo(name: string, way: "forward" | "backward" = "forward"): Promise<void> {
    const passed: string[] = [];
    for (let count = 0; count < MANY_TABS; count += 1) {
      await this.press(way === "forward" ? "Tab" : "Shift+Tab");
      const now = await this.focused();
      if (now === name) return;
      passed.push(now.slice(0, 40));
    }
    throw new Error(`no way to "${name}" by keyboard: ${passed.join(", ")}`);
  }
}
