import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkProgram } from "./sandbox.ts";

const folder = mkdtempSync(join(tmpdir(), "os-program-"));
const PATH = "/usr/bin:/bin";
afterAll(() => rmSync(folder, { recursive: true }));

function program(name: string, text: string, mode = 0o755): string {
  writeFileSync(join(folder, name), text, { mode });
  return `./${name}`;
}

test("resolves a path inside the folder and a bare name on the search path", async () => {
  expect(await checkProgram(program("ok.sh", "#!/bin/sh\n"), folder, PATH)).toBe(join(folder, "ok.sh"));
  expect(await checkProgram(program("env.sh", "#! /usr/bin/env -S FOO=1 sh -e\n"), folder, PATH)).toBe(
    join(folder, "env.sh"),
  );
  expect(await checkProgram("sh", folder, PATH)).toMatch(/\/bin\/sh$/);
  expect(await checkProgram("/bin/true", folder, PATH)).toBe("/bin/true");
});

test("a bare name is never taken from the folder", async () => {
  program("only-here", "#!/bin/sh\n");
  await expect(checkProgram("only-here", folder, `:.:${PATH}`)).rejects.toMatchObject({
    code: "launcher.program_missing",
  });
});

test("a missing folder is told from a missing program", async () => {
  await expect(checkProgram("sh", join(folder, "gone"), PATH)).rejects.toMatchObject({
    code: "launcher.folder_missing",
  });
  await expect(checkProgram("sh", join(folder, "ok.sh"), PATH)).rejects.toMatchObject({
    code: "launcher.folder_missing",
  });
  const missing = checkProgram("./absent", folder, PATH);
  await expect(missing).rejects.toMatchObject({
    code: "launcher.program_missing",
    details: { path: join(folder, "absent") },
  });
  await expect(checkProgram("no-such-program", folder, PATH)).rejects.toMatchObject({
    code: "launcher.program_missing",
    nextStep: expect.stringContaining("install"),
  });
});

test("a file without permission and a folder are not executable", async () => {
  const plain = program("plain.sh", "#!/bin/sh\n", 0o644);
  await expect(checkProgram(plain, folder, PATH)).rejects.toMatchObject({
    code: "launcher.not_executable",
    nextStep: expect.stringMatching(/executable .*repository/),
  });
  mkdirSync(join(folder, "dir"));
  await expect(checkProgram("./dir", folder, PATH)).rejects.toMatchObject({ code: "launcher.not_executable" });
});

test.each([
  ["#!/no/such/interpreter\n", "/no/such/interpreter"],
  ["#!/bin/sh\r\necho\r\n", "/bin/sh\r"],
  ["#!/usr/bin/env no-such-thing\n", "no-such-thing"],
  ["#!/usr/bin/env -S no-such-thing -x\n", "no-such-thing"],
  ["#!/etc\n", "/etc"],
])("names the interpreter that is missing in %j", async (text, interpreter) => {
  await expect(checkProgram(program("bad", text), folder, PATH)).rejects.toMatchObject({
    code: "launcher.not_executable",
    details: { interpreter },
  });
});

test.each(["", "#!\n", "#!   \n"])("refuses a program that begins with %j", async (text) => {
  await expect(checkProgram(program("none", text), folder, PATH)).rejects.toMatchObject({
    code: "launcher.not_executable",
  });
});

test("refuses a text file without a #! line", async () => {
  const refused = checkProgram(program("text", "echo ran\n"), folder, PATH);
  await expect(refused).rejects.toMatchObject({
    code: "launcher.not_executable",
    nextStep: expect.stringContaining("#!"),
  });
});
