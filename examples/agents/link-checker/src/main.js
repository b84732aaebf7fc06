import { mkdir, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { checkNotes } from "./check-notes.js";
import { checkWebLinks } from "./check-web-links.js";

const OPTIONS = {
  every: { type: "string", default: "5" },
  reports: { type: "string" },
  web: { type: "boolean", default: false },
};

/** Checks the folder again and again until SIGTERM or SIGINT; every round prints one line and writes a report. */
export async function main(argv) {
  const { values, positionals } = parseArgs({ args: argv, options: OPTIONS, allowPositionals: true });
  const folder = resolve(positionals[0] ?? join(import.meta.dirname, "../notes"));
  const seconds = Number(values.every);
  if (!(seconds > 0)) throw new Error("--every needs a number of seconds above 0");
  const locale = localeOf(process.env.LANG_HINT);

  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => stop.abort());

  console.log(`watching ${folder}, counting words by the rules of "${locale}"`);
  for (let round = 1; !stop.signal.aborted; round += 1) {
    await runRound({ round, folder, locale, reports: values.reports, web: values.web, signal: stop.signal });
    await pause(seconds * 1000, undefined, { signal: stop.signal }).catch(() => {});
  }
  console.log("stopped cleanly");
}

async function runRound({ round, folder, locale, reports, web, signal }) {
  try {
    const report = await checkNotes(folder, locale);
    if (web) report.web = await checkWebLinks(report.notes, signal);
    await writeReport(homedir(), report);
    if (reports !== undefined) await writeReport(resolve(reports), report);
    const { notes, words, links, broken } = report;
    console.log(`round ${round}: ${notes.length} notes, ${words} words, ${links} links, ${broken.length} broken`);
    for (const { note, target } of broken) console.log(`  ${note} -> ${target}`);
  } catch (error) {
    // A folder that was not approved, or is gone for now, is told and tried again: the agent goes on with the rest.
    if (error.code === undefined) throw error;
    console.error(`round ${round}: ${error.message}`);
  }
}

/** Whole or not at all: a reader never sees half a report. */
async function writeReport(folder, report) {
  await mkdir(folder).catch((error) => {
    if (error.code !== "EEXIST") throw error;
  });
  const path = join(folder, "link-report.json");
  await writeFile(`${path}.new`, `${JSON.stringify(report, null, 2)}\n`);
  await rename(`${path}.new`, path);
}

function localeOf(hint) {
  try {
    return new Intl.Locale(hint ?? "en").toString();
  } catch {
    return "en";
  }
}
