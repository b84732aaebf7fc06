#!/usr/bin/env node
// One line of 50 MB, then a short one, then nothing more.
import { writeSync } from "node:fs";

const block = Buffer.alloc(64 * 1024, "x");
for (let bytes = 0; bytes < 50 * 1024 * 1024; bytes += block.length) {
  for (let at = 0; at < block.length;) at += writeSync(1, block, at);
}
writeSync(1, "\nafter the long line\n");
setInterval(() => {}, 1000);
