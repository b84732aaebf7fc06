/** Texts of agents that would be markup, move a cursor, hide or reorder something: the page shows them as what they are. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTo, hasChromium, visit, type Visit } from "../support/browser.ts";
import { type CoreHome, EXAMPLES, eventually, gitRepository, newHome } from "../support/core-home.ts";
import { manifestText } from "../support/small-agent.ts";

const AGENT = "com.example.hostile";

/** What runs something, loads something or breaks out, wherever text is taken for markup. */
const MARKUP = [
  `<img src=x onerror="alert('markup')">`,
  `<script>alert("script")</script>`,
  `"><svg/onload=alert(1)>`,
  `</bdi></span><h1>Core says: all is well</h1>`,
  `<a href="javascript:alert(1)">press</a>`,
  `![picture](https://evil.example.com/p.png) [link](javascript:alert(1))`,
  "{{constructor.constructor('alert(1)')()}} ${alert(1)} &lt;b&gt;",
  "<iframe srcdoc='<script>alert(1)</script>'></iframe><style>*{display:none}</style>",
];
/** Each with what has to be seen instead. */
const UNSEEN: [string, string][] = [
  ["pay \u202enet\u202c euros", "pay \\u202enet\\u202c euros"],
  ["zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"],
  ["isolate \u2066left\u2069", "isolate \\u2066left\\u2069"],
  ["tag\u{e0041}ged", "tag\\u{e0041}ged"],
  ["\u001b[2J\u001b[1;1Hcleared", "\\x1b[2J\\x1b[1;1Hcleared"],
  ["\u001b]0;title\u0007rest", "\\x1b]0;title\\x07rest"],
  ["\u001b]8;;https://evil.example.com\u0007link\u001b]8;;\u0007", "\\x1b]8;;https://evil.example.com\\x07link"],
  ["nul\u0000back\u0008space", "nul\\x00back\\x08space"],
  ["over\rwritten", "over\\rwritten"],
  ["line\u2028separator", "line\\u2028separator"],
];
const TEXTS = [...MARKUP, ...UNSEEN.map(([text]) => text)];

const PROGRAM = `import { readFileSync } from "node:fs";
import { defineAgent, tool, ToolError } from "./opensentience-sdk.js";
const texts = JSON.parse(readFileSync("texts.json", "utf8"));
for (const text of texts) console.log("log " + text);
for (const text of texts) console.error("err " + text);
const inputSchema = {
  type: "object",
  title: texts[0],
  description: texts[1],
  properties: Object.fromEntries(texts.slice(0, 8).map((text, n) => ["field" + n, { type: "string", title: text, description: text, pattern: "(a+)+$" }])),
};
defineAgent({ version: "1.0.0", tools: {
  say: tool({ description: texts.slice(0, 3).join(" "), inputSchema }, async (_, { stream }) => {
    for (const text of texts) await stream(text + "\\n");
    return { texts };
  }),
  fail: tool({ description: "fails", inputSchema: { type: "object" } }, () => {
    throw new ToolError("hostile.error", texts.join(" | ").slice(0, 1000));
  }),
} }).run();
`;

describe.skipIf(!hasChromium)("hostile texts are shown as text", () => {
  let home: CoreHome;
  let person: Visit;
  let page: Page;

  beforeAll(async () => {
    home = await newHome();
    const repository = await gitRepository("hostile", {
      "opensentience.agent.json": manifestText(AGENT, {
        name: MARKUP[0],
        description: MARKUP.join(" "),
        version: "1.0.0",
        keywords: ["<b>bold</b>"],
        entrypoint: { type: "command", value: "node", args: ["main.js", MARKUP[1]] },
        capabilities: ["tools"],
        build: { steps: [{ phase: "compile", argv: ["node", "build.js"] }] },
        "<img src=x onerror=alert(2)>": true,
      }),
      "main.js": PROGRAM,
      "build.js": `for (const text of JSON.parse(require("fs").readFileSync("texts.json", "utf8"))) console.log("build " + text);`,
      "texts.json": JSON.stringify(TEXTS),
      "opensentience-sdk.js": readFileSync(join(EXAMPLES, "hello-tools/opensentience-sdk.js"), "utf8"),
    });
    await home.json(["agents", "install", repository.url, "--allow-local"]);
    await home.json(["agents", "build", AGENT, "--yes"]);
    await home.json(["agents", "enable", AGENT, "--all"]);
    await home.json(["agents", "run", AGENT]);
    const tools = (): Promise<{ items: unknown[] }> => home.json(["tools", "list", "--agent", AGENT]);
    await eventually(async () => (await tools()).items.length === 2, "the tools");
    person = await visit(home, { height: 1600 });
    page = await person.open();
  }, 120_000);
  afterAll(() => home.dispose());

  const expectText = (text: string): Promise<void> => page.locator("#page").getByText(text).first().waitFor();

  test("of a manifest", async () => {
    await expectText(MARKUP[0] ?? "");
    for (const tab of ["overview", "permissions", "manifest"]) {
      await goTo(page, `/agents/${AGENT}/${tab}`);
      await page.getByRole("tab", { name: tab === "overview" ? "Overview" : tab, selected: true }).waitFor();
      await expectText(MARKUP[3] ?? "");
    }
    await expectText("<img src=x onerror=alert(2)>");
    await expectUntouched(page);
  });

  test("of an output", async () => {
    await goTo(page, `/agents/${AGENT}/log`);
    for (const text of MARKUP) await expectText(`log ${text}`);
    for (const [, seen] of UNSEEN) await expectText(`err ${seen}`);
    await page.getByLabel("Search the output").fill("<img");
    await page.locator(".log mark").first().waitFor();
    await expectUntouched(page);
  });

  test("of a build", async () => {
    await goTo(page, `/agents/${AGENT}/log?run=build`);
    for (const text of MARKUP) await expectText(`build ${text}`);
    for (const [, seen] of UNSEEN) await expectText(`build ${seen}`);
    await expectUntouched(page);
  });

  test("of a tool, its input, its stream, its result and its error", async () => {
    await goTo(page, `/agents/${AGENT}/tools?tool=say`);
    for (const text of MARKUP.slice(0, 8)) await expectText(text);
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("Succeeded").waitFor();
    const streamed = page.getByLabel("Streamed output");
    for (const text of MARKUP) await streamed.getByText(text).first().waitFor();
    for (const [, seen] of UNSEEN) await streamed.getByText(seen).first().waitFor();
    await page.getByLabel("Result").getByText("</bdi></span><h1>Core says").first().waitFor();
    await goTo(page, `/agents/${AGENT}/tools?tool=fail`);
    await page.getByRole("heading", { name: "fail" }).waitFor();
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("hostile.error").waitFor();
    await expectText(`</bdi></span><h1>Core says: all is well</h1>`);
    await expectUntouched(page);
  });

  test("of an address and of what is searched for", async () => {
    await goTo(page, `/?q=${encodeURIComponent(`"><img src=x onerror=alert(3)>`)}`);
    await page.getByText("No agent fits").waitFor();
    await goTo(page, `/agents/${encodeURIComponent("<img src=x onerror=alert(4)>")}`);
    await page.getByText("agent.not_found").waitFor();
    await goTo(page, `/audit?type=${encodeURIComponent("<svg onload=alert(5)>")}`);
    await page.getByText("usage.invalid").waitFor();
    await expectUntouched(page);
  });

  /** Nothing of it became an element, was run, was asked for or took a line out of sight. */
  async function expectUntouched(shown: Page): Promise<void> {
    const elements = "img, script, iframe, style, object, embed, a[href^='javascript'], [onerror], [onload]";
    expect(await shown.locator("body").locator(elements).count()).toBe(0);
    expect(
      await shown.evaluate("document.body.innerText.match(/[\\u202a-\\u202e\\u2066-\\u2069\\u200b\\u001b]/)"),
    ).toBe(null);
    expect(person.faults).toEqual([]);
  }
});
