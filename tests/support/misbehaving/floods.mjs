#!/usr/bin/env node
// Writes as fast as its pipe takes it, for ever, without a newline.
import { writeSync } from "node:fs";

const block = Buffer.alloc(64 * 1024, "x");
for (;;) writeSync(1, block);
