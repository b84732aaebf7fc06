#!/usr/bin/env node
/** The program: argv in, exit code out. Loads the command line, and the daemon only when a command serves. */
import { main } from "./cli/cli.ts";

// Not awaited here: the bundle is CommonJS (see scripts/build-bundle.ts), which has no await at the top of a module.
void main(process.argv.slice(2), {
  binary: import.meta.filename,
  loadServe: async () => {
    // Before the daemon is loaded: what loading it leaves behind would stay in the heap for as long as Core lives.
    const { keepHeapSmall } = await import("./host/memory.ts");
    keepHeapSmall();
    return (await import("./daemon.ts")).serve;
  },
}).then((exitCode) => (process.exitCode = exitCode));
