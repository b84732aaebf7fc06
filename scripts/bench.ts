/**
 * `npm run bench [-- NAME…] [--rounds N] [--write]`: every figure as a ratio to a floor that runs beside it, medians of at
 * least five rounds. `--write` puts what was measured, with date and machine, into docs/benchmarks.md. Prints and measures;
 * a figure above its target is marked, and makes the command exit with 1.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Figure, Measured } from "./bench/figure.ts";

const PAGE = join(resolve(import.meta.dirname, ".."), "docs/benchmarks.md");
const [BEGIN, END] = ["<!-- figures -->", "<!-- /figures -->"];

/** In the order of the page. Each is loaded only when it is its turn: one figure's imports are not another's memory. */
const FIGURES: (() => Promise<Figure>)[] = [
  () => import("./bench/rescan.ts").then((m) => m.rescanWarm),
  () => import("./bench/rescan.ts").then((m) => m.rescanCold),
  () => import("./bench/capture.ts").then((m) => m.figure),
  () => import("./bench/list.ts").then((m) => m.figure),
  () => import("./bench/verify.ts").then((m) => m.figure),
  () => import("./bench/idle-memory.ts").then((m) => m.figure),
  () => import("./bench/start-agent.ts").then((m) => m.figure),
  () => import("./bench/egress.ts").then((m) => m.figure),
  () => import("./bench/egress-start.ts").then((m) => m.figure),
  () => import("./bench/start-in-box.ts").then((m) => m.figure),
  () => import("./bench/tool-calls.ts").then((m) => m.callToAgent),
  () => import("./bench/tool-calls.ts").then((m) => m.callBetweenAgents),
  () => import("./bench/tool-calls.ts").then((m) => m.largeCallBetweenAgents),
  () => import("./bench/tool-calls.ts").then((m) => m.callRate),
  () => import("./bench/http-call.ts").then((m) => m.figure),
  () => import("./bench/event-stream.ts").then((m) => m.figure),
];

type Result = { figure: Figure; measured: Measured };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "7" }, write: { type: "boolean", default: false } },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 5) throw new Error("--rounds is a whole number of at least 5");

const results: Result[] = [];
for (const load of FIGURES) {
  const figure = await load();
  if (positionals.length > 0 && !positionals.includes(figure.name)) continue;
  process.stdout.write(`${figure.name}: `);
  const measured = await figure.measure(rounds);
  results.push({ figure, measured });
  console.log(summary({ figure, measured }));
}
const table = [
  "| figure | what | floor = 1 | measured | target | when |",
  "|---|---|---|---|---|---|",
  ...results.map(row),
];
console.log(`\n${table.join("\n")}\n`);
if (values.write) writePage(table);
if (results.some(isOver)) process.exitCode = 1;

function isOver({ figure, measured }: Result): boolean {
  return measured.ratio > figure.target;
}

function amount(value: number, unit: string): string {
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`;
}

function summary({ figure, measured }: Result): string {
  const { floor, subject, ratio, unit, notes } = measured;
  const parts = floor === null ? "" : ` (${amount(subject, unit)} against ${amount(floor, unit)})`;
  const verdict = isOver({ figure, measured }) ? "OVER" : "within";
  return [`${ratio.toFixed(2)}${parts}, ${verdict} ${figure.target}`, ...notes].join("\n  ");
}

function row({ figure, measured }: Result): string {
  const { floor, subject, ratio, unit, notes } = measured;
  const what = [figure.subject, ...notes].join(" ");
  const found = floor === null ? amount(subject, unit) : `**${ratio.toFixed(2)}** (${amount(subject, unit)})`;
  const base = floor === null ? "—" : `${figure.floor} (${amount(floor, unit)})`;
  return `| ${figure.name} | ${what} | ${base} | ${found} | ${figure.target}${isOver({ figure, measured }) ? " **missed**" : ""} | ${new Date().toISOString().slice(0, 10)}, ${rounds} rounds |`;
}

/** Replaces the rows that were measured now, and leaves those of other figures. */
function writePage(rows: string[]): void {
  const page = readFileSync(PAGE, "utf8");
  const [before, rest] = page.split(BEGIN);
  const [old, after] = rest?.split(END) ?? [];
  if (before === undefined || old === undefined || after === undefined) {
    throw new Error(`${PAGE} has no ${BEGIN} … ${END}`);
  }
  const name = (line: string): string => line.split("|")[1]?.trim() ?? "";
  const measured = new Set(rows.map(name));
  const kept = old.split("\n").filter((line) => line.startsWith("| ") && !measured.has(name(line)));
  const [cpu] = cpus();
  const machine = `Machine: ${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}.`;
  const [head = "", line = "", ...own] = rows;
  const table = [head, line, ...[...kept, ...own].toSorted()].join("\n");
  writeFileSync(PAGE, `${before}${BEGIN}\n${machine}\n\n${table}\n${END}${after}`);
}
