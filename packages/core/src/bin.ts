#!/usr/bin/env node
/** The program: argv in, exit code out. Loads the command line, and the daemon only when a command serves. */
import { main } from "./cli/cli.ts";

process.exitCode = await main(process.argv.slice(2), {
  binary: import.meta.filename,
  loadServe: async () => (await import("./daemon.ts")).serve,
});
