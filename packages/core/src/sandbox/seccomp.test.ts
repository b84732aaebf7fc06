/** The filter, run by a small interpreter for both processors, and by the kernel for this one. */
import { expect, test } from "vitest";
import { refusedCalls, seccompProgram } from "./seccomp.ts";

const ALLOW = 0x7fff0000;
const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
type Processor = keyof typeof AUDIT;

/** What the kernel would answer: 0 for allowed, else the error number. */
function answer(processor: Processor, number: number, args: number[] = [], audit: number = AUDIT[processor]): number {
  const program = seccompProgram(processor) as Buffer;
  const data = new Map<number, number>([
    [0, number],
    [4, audit],
    ...args.map((value, index): [number, number] => [16 + 8 * index, value]),
  ]);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at += 1) {
    const code = program.readUInt16LE(at * 8);
    const [jumpTrue, jumpFalse] = [program.readUInt8(at * 8 + 2), program.readUInt8(at * 8 + 3)];
    const value = program.readUInt32LE(at * 8 + 4);
    if (code === 0x06) return value === ALLOW ? 0 : value & 0xffff;
    if (code === 0x20) accumulator = data.get(value) ?? 0;
    else if (code === 0x54) accumulator = (accumulator & value) >>> 0;
    else {
      const holds =
        code === 0x15 ? accumulator === value : code === 0x45 ? (accumulator & value) !== 0 : accumulator >= value;
      at += holds ? jumpTrue : jumpFalse;
    }
  }
  throw new Error("the program has no end");
}

const SOCKET = { x64: 41, arm64: 198 } as const;
const IOCTL = { x64: 16, arm64: 29 } as const;
const CLONE = { x64: 56, arm64: 220 } as const;

test.each(["x64", "arm64"] as const)("the filter for %s refuses what no agent needs", (processor) => {
  const table = {
    x64: { ptrace: 101, mount: 165, keyctl: 250, bpf: 321 },
    arm64: { ptrace: 117, mount: 40, keyctl: 219, bpf: 280 },
  };
  for (const number of Object.values(table[processor])) expect(answer(processor, number)).toBe(1);
  expect(answer(processor, 435)).toBe(38);
  expect(answer(processor, 425)).toBe(38);
  // read, write, futex, epoll and thousands of others.
  for (const number of [0, 1, 3, 63, 64, 98, 202, 291, 300_000].filter(
    (one) => ![...Object.values(table[processor])].includes(one),
  ))
    expect([0, 1]).toContain(answer(processor, number));
  expect(answer(processor, processor === "x64" ? 0 : 63)).toBe(0);
});

test.each(["x64", "arm64"] as const)("the filter for %s looks at arguments", (processor) => {
  expect(answer(processor, IOCTL[processor], [0, 0x5412])).toBe(1);
  expect(answer(processor, IOCTL[processor], [0, 0x541c])).toBe(1);
  expect(answer(processor, IOCTL[processor], [0, 0x5413])).toBe(0);
  expect(answer(processor, CLONE[processor], [0x10000000])).toBe(1);
  expect(answer(processor, CLONE[processor], [0x00020000])).toBe(1);
  expect(answer(processor, CLONE[processor], [0x003d0f00])).toBe(0);
  const socket = (family: number, type: number): number => answer(processor, SOCKET[processor], [family, type]);
  for (const family of [1, 2, 10, 16]) expect(socket(family, 0x80801)).toBe(0);
  for (const family of [17, 38, 40, 31, 15, 0]) expect(socket(family, 3)).toBe(97);
  expect([socket(2, 3), socket(10, 0x80003)]).toEqual([1, 1]);
  expect([socket(16, 3), socket(1, 3)]).toEqual([0, 0]);
});

test.each(["x64", "arm64"] as const)(
  "the filter for %s lets nobody make a set-user-ID or set-group-ID file",
  (processor) => {
    const table = {
      x64: { chmod: [90, 1], fchmod: [91, 1], fchmodat: [268, 2], creat: [85, 1], mknod: [133, 1], mknodat: [259, 2] },
      arm64: { fchmod: [52, 1], fchmodat: [53, 2], mknodat: [33, 2] },
    }[processor] as Record<string, number[]>;
    const withMode = (number: number, at: number, mode: number, flags = 0o100): number =>
      answer(processor, number, [...Array.from({ length: at - 1 }, () => 0), flags, mode]);
    for (const [number = 0, at = 0] of [...Object.values(table), [452, 2]]) {
      for (const mode of [0o4755, 0o2755, 0o106644]) expect(withMode(number, at, mode)).toBe(1);
      for (const mode of [0o755, 0o1777, 0o100644]) expect(withMode(number, at, mode)).toBe(0);
    }
    const opens: [number, number][] =
      processor === "x64"
        ? [
            [2, 2],
            [257, 3],
          ]
        : [[56, 3]];
    for (const [number, at] of opens) {
      for (const flags of [0o100, 0o20000000, 0o1101]) expect(withMode(number, at, 0o4755, flags)).toBe(1);
      expect(withMode(number, at, 0o644, 0o100)).toBe(0);
      // Of an open that makes nothing the mode is whatever stood there.
      expect(withMode(number, at, 0o4755, 0o2)).toBe(0);
    }
    expect(answer(processor, 437)).toBe(38);
  },
);

test("calls of another architecture are refused, whatever their number means there", () => {
  expect(answer("x64", 0, [], 0x40000003)).toBe(38);
  expect(answer("x64", 0x40000000)).toBe(38);
  expect(answer("arm64", 0, [], 0x40000028)).toBe(38);
});

test("both processors refuse the same, but for what only one has", () => {
  const only = (a: string[], b: string[]): string[] => a.filter((name) => !b.includes(name));
  const [x64, arm64] = [refusedCalls("x64"), refusedCalls("arm64")];
  expect(only(arm64, x64)).toEqual([]);
  expect(only(x64, arm64)).toEqual(["ioperm", "iopl", "modify_ldt"]);
  expect(seccompProgram("mips")).toBeUndefined();
});
