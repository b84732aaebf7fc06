import { expect, test } from "vitest";
import { limitsText, limitText, sizeText } from "./limits-text.ts";

const MIB = 2 ** 20;

test("what was measured is written to one decimal, in the unit that it has most of", () => {
  expect([0, 900, 1_000_000, MIB, 90.26 * MIB, 1023.9 * MIB, 61_926 * MIB, 3.25 * 2 ** 40].map(sizeText)).toEqual([
    ...["0 KiB", "1 KiB", "977 KiB", "1 MiB", "90.3 MiB", "1023.9 MiB", "60.5 GiB", "3.3 TiB"],
  ]);
  expect([MIB - 1, 1023.99 * MIB, 2 ** 40 - 1, 5_000 * 2 ** 40].map(sizeText)).toEqual([
    ...["1 MiB", "1 GiB", "1 TiB", "5000 TiB"],
  ]);
});

test("a limit is in GiB or TiB only where that is exactly what it is", () => {
  expect([1_000_000, 64 * MIB, 1024 * MIB, 1536 * MIB, 60 * 1024 * MIB, 2.5 * 2 ** 40].map(limitText)).toEqual([
    ...["977 KiB", "64 MiB", "1 GiB", "1.5 GiB", "60 GiB", "2.5 TiB"],
  ]);
  expect([1537 * MIB, 1536 * MIB + 1e5, 61_926 * MIB, 2_000_000_000, 1025 * 2 ** 30].map(limitText)).toEqual([
    ...["1537 MiB", "1536.1 MiB", "61926 MiB", "1907.3 MiB", "1025 GiB"],
  ]);
  expect(limitsText({ [`memory:${1537 * MIB}`]: "enforced", [`disk:${2 ** 30}`]: "advisory" })).toBe(
    "memory 1537 MiB (held by the kernel), disk 1 GiB (only recorded)",
  );
});
