/**
 * `npm run soak [-- FILE…]`: the crash, cycle and fuzz tests of tests/soak with their full counts (the suite runs the same
 * files with smaller ones), then docs/soak.md with what each of them counted, the date, the commit and the machine. The
 * page is written only when nothing failed; of some files, only their rows. `SEED=n` repeats a run.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { ensureTools } from "./ensure-tools.ts";
import { closeWith } from "./tally.ts";

const REPOSITORY = resolve(import.meta.dirname, "..");
const PAGE = join(REPOSITORY, "docs/soak.md");
const [BEGIN, END] = ["<!-- results -->", "<!-- /results -->"];

type Found = { what: string; result: string; seed: number };

const files = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "soak-"));
try {
  // Both must be there before the tests' processes read their environment.
  process.env["SOAK_REPORT"] = join(folder, "report.jsonl");
  process.env["SEED"] ??= String(Date.now() % 2 ** 31);
  writeFileSync(process.env["SOAK_REPORT"], "");
  const missing = ensureTools();
  if (missing.length > 0) throw new Error(`missing: ${missing.join(", ")}`);
  const { runVitest } = await import("./run-vitest.ts");
  const tally = await runVitest(["soak"], REPOSITORY, files);
  const results = readFileSync(process.env["SOAK_REPORT"], "utf8").trimEnd().split("\n").filter(Boolean);
  const rows = results.map((line) => rowOf(JSON.parse(line) as Found));
  console.log(["", ...rows].join("\n"));
  if (tally.failed === 0) writePage(rows, files.length > 0);
  closeWith(tally);
} finally {
  rmSync(folder, { recursive: true });
}

function rowOf({ what, result, seed }: Found): string {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: REPOSITORY, encoding: "utf8" }).trim();
  return `| ${what} | ${result} | ${new Date().toISOString().slice(0, 10)}, ${commit}, seed ${seed} |`;
}

/** Replaces what stands between the two marks of the page; `keepsOthers`: rows that this run did not count stay. */
function writePage(rows: readonly string[], keepsOthers: boolean): void {
  const page = readFileSync(PAGE, "utf8");
  const [before, rest] = page.split(BEGIN);
  const [old, after] = rest?.split(END) ?? [];
  if (before === undefined || old === undefined || after === undefined)
    throw new Error(`${PAGE} has no ${BEGIN} … ${END}`);
  const name = (row: string): string => row.split("|")[1] ?? "";
  const counted = new Set(rows.map(name));
  const kept = keepsOthers
    ? old.split("\n").filter((line) => /^\| (?!what )[^-]/.test(line) && !counted.has(name(line)))
    : [];
  const [cpu] = cpus();
  const machine = `On ${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}.`;
  const table = ["| what | result | when |", "|---|---|---|", ...[...kept, ...rows].toSorted()].join("\n");
  writeFileSync(PAGE, `${before}${BEGIN}\n${machine}\n\n${table}\n${END}${after}`);
}
