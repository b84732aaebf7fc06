/**
 * Debian's Chromium with the page of a Core in it, as a person has it: signed in by a link of the command line. Whatever
 * a person would not see is collected: messages on the console, faults of scripts, requests to anywhere else.
 */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll } from "vitest";
import { controlOf } from "./control-of.ts";
import type { CoreHome } from "./core-home.ts";

const CHROMIUM = "/usr/bin/chromium";
/** Whether the tests of the page can run here. */
export const hasChromium: boolean = existsSync(CHROMIUM);

/**
 * The browser's own suggestions below its address bar: two pages of its own for each window, in a process that costs five
 * times the time of the page under test. Nobody types an address here.
 */
const SUGGESTIONS = ["WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"];
/** What Playwright turns off by itself: of two lists Chromium takes the last one only. */
const OFF_BY_PLAYWRIGHT = [
  "AvoidUnnecessaryBeforeUnloadCheckSync",
  "DestroyProfileOnBrowserClose",
  "HttpsUpgrades",
  "HttpsFirstBalancedModeAutoEnable",
  "LensOverlay",
  "MediaRouter",
  "PaintHolding",
  "ThirdPartyStoragePartitioning",
  "AvoidCorsURLLoaderRestartOnRedirect",
  "OptimizationHints",
  "NetworkTimeServiceQuerying",
  "AimEnabled",
  "PreconnectToSearch",
];

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  `--disable-features=${[...OFF_BY_PLAYWRIGHT, ...SUGGESTIONS].join(",")}`,
];

export type Look = { width?: number; height?: number; theme?: "light" | "dark" };

/** A browser of one person: its tabs share cookies, storage and the event stream. */
export class Visit {
  /** What nobody may see: empty at the end of every test. */
  readonly faults: string[] = [];
  readonly context: BrowserContext;
  readonly #home: CoreHome;

  constructor(home: CoreHome, context: BrowserContext) {
    this.#home = home;
    this.context = context;
  }

  /** A new tab on the page, signed in by a link; `place` is what follows the `#`. */
  async open(place = "/"): Promise<Page> {
    const page = await this.tab();
    await page.goto(await this.link());
    await page.getByRole("navigation", { name: "Screens" }).waitFor();
    if (place !== "/") await goTo(page, place);
    return page;
  }

  /** A link that signs in once. */
  async link(): Promise<string> {
    const said = await this.#home.cli(["open", "--print"]);
    const url = /http:\/\/\S+/.exec(said.stdout)?.[0];
    if (url === undefined) throw new Error(`no link in ${said.stdout}${said.stderr}`);
    return url;
  }

  /** An empty tab whose faults are collected. */
  async tab(): Promise<Page> {
    const page = await this.context.newPage();
    const origin = new URL(await this.address()).origin;
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !isRefusal(message.text()))
        this.faults.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.faults.push(`script: ${error.message}`));
    page.on("dialog", (dialog) => {
      this.faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol !== "data:" && url.origin !== origin) this.faults.push(`request: ${request.url()}`);
    });
    return page;
  }

  /** Where the page is; on the socket, for each tab asks. */
  async address(): Promise<string> {
    const { web_url: url } = await (await controlOf(this.#home)).call("get_status");
    if (url === null) throw new Error("Core has no page");
    return url;
  }
}

/** The browser's own note of an answer that the page shows in words. */
function isRefusal(text: string): boolean {
  return text.startsWith("Failed to load resource: the server responded with a status of 4");
}

let launched: Promise<Browser> | undefined;
afterAll(async () => {
  const browser = await launched;
  launched = undefined;
  await browser?.close();
});

export async function visit(
  home: CoreHome,
  { width = 1280, height = 860, theme = "light" }: Look = {},
): Promise<Visit> {
  if (!(await (await controlOf(home)).isAnswering()))
    await home.json(["core", "start"], { codes: [0, 6] }).catch(() => {});
  launched ??= chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGUMENTS });
  const browser = await launched;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale: "en-GB",
    // What fades in has no colours to judge yet.
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(15_000);
  return new Visit(home, context);
}

/** Follows a link of the page's own; what follows the `#`. */
export async function goTo(page: Page, place: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(place)}`);
}
