#!/usr/bin/env node
// One line of as many MiB as the first argument says, a secret again and again in it, each time split over two writes.
import { writeSync } from "node:fs";

const secret = process.env.PLANTED_SECRET ?? "";
const half = secret.length >> 1;
const block = Buffer.from(secret.slice(half) + "x".repeat(64 * 1024 - secret.length) + secret.slice(0, half));
const blocks = Number(process.argv[2] ?? 50) * 16;
for (let written = 0; written < blocks; written += 1) {
  for (let at = 0; at < block.length;) at += writeSync(1, block, at);
}
writeSync(1, "\nafter the long line\n");
setInterval(() => {}, 1000);
