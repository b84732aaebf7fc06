#!/usr/bin/env node
// Bytes that logs get wrong: a character split over two writes, no UTF-8, NUL, terminal sequences, carriage returns.
import { writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const euro = Buffer.from("€");
for (let cut = 1; cut < euro.length; cut += 1) {
  writeSync(1, Buffer.concat([Buffer.from(`split ${cut} `), euro.subarray(0, cut)]));
  await pause(150);
  writeSync(1, Buffer.concat([euro.subarray(cut), Buffer.from("\n")]));
}
writeSync(
  1,
  Buffer.concat([Buffer.from("no utf-8 "), Buffer.from([0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80]), Buffer.from("\n")]),
);
writeSync(1, "nul \0 nul\n");
writeSync(1, "ansi \u001b[2J\u001b]0;title\u0007 \u009b31m red\n");
writeSync(1, "progress 1%\rprogress 99%\r\n");
writeSync(1, "bidi \u202e evil\n");
writeSync(1, "all said");
await pause(600_000);
