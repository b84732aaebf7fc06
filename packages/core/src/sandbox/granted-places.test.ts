/**
 * Generated permissions against a tree with links and folders of Core's own: what the policy says is compared with what
 * a process inside the box really can open, file by file, for reading and for writing.
 */
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { matchesPath, parsePermission } from "@opensentience/protocol";
import { expect, test, vi } from "vitest";
import { folder as temporary, namespace, outputOf, PATH, start } from "../../../../tests/support/boxes.ts";
import { randomNumbers, times } from "../../../../tests/support/counts.ts";
import { grantedPlaces, MAX_PLACES } from "./granted-places.ts";
import { runPolicy } from "./sandbox.ts";

vi.setConfig({ testTimeout: 600_000 });

const root = realpathSync(temporary);
const home = join(root, "h");
const core = join(home, "core");
const NAMES = ["a", "b", "c.md", "d.txt", "core", "l"];
const files: string[] = [];

/** Three levels of folders a and b with files in each; `l` is a link to the first folder, `core` is Core's own. */
function grow(folder: string, depth: number): void {
  mkdirSync(folder, { recursive: true });
  for (const name of ["c.md", "d.txt"]) {
    writeFileSync(join(folder, name), name);
    files.push(join(folder, name));
  }
  if (depth === 0) return;
  for (const name of ["a", "b"]) grow(join(folder, name), depth - 1);
  symlinkSync(join(home, "a"), join(folder, "l"));
}
grow(home, 2);
grow(core, 1);
for (const name of ["src", "data", "run"]) mkdirSync(join(core, name));

const TOUCH = `while read -r f; do
  [ -r "$f" ] && cat "$f" >/dev/null 2>&1 && printf 'r %s\\n' "$f"
  dd if=/dev/null of="$f" conv=nocreat,notrunc 2>/dev/null && printf 'w %s\\n' "$f"
done < ${core}/src/list`;
writeFileSync(join(core, "src/list"), `${files.join("\n")}\n`);

function patterns(next: (below: number) => number): string[] {
  const segment = (): string => ["*", "**", "*.md", "d.*", ...NAMES][next(4 + NAMES.length)] as string;
  const pattern = (): string => ["~", ...Array.from({ length: 1 + next(3) }, segment)].join("/");
  return Array.from({ length: 1 + next(4) }, () => `filesystem:${next(3) === 0 ? "write" : "read"}:${pattern()}`);
}

/** By the words of the documentation: files that the pattern covers, without Core's own; write includes read. */
function covered(permissions: string[], action: "read" | "write"): string[] {
  return files.filter(
    (file) =>
      !file.startsWith(`${core}/`) &&
      permissions.some((permission) => {
        const parsed = parsePermission(permission);
        return (
          parsed?.pattern !== undefined &&
          (action === "read" || parsed.action === "write") &&
          matchesPath(parsed.pattern, file, home)
        );
      }),
  );
}

test("what the policy says is what a process inside can open", async () => {
  const numbers = randomNumbers();
  const next = (below: number): number => Math.floor(numbers() * below);
  let refused = 0;
  let compared = 0;
  for (let round = 0; round < times({ suite: 60, soak: 1_000 }); round += 1) {
    const permissions = patterns(next);
    const policy = await runPolicy({
      approvedPermissions: permissions,
      source: join(core, "src"),
      data: join(core, "data"),
      socketFolder: join(core, "run"),
      toolPath: PATH,
      program: "/bin/sh",
      network: "open",
      limits: {},
      core: { operatorHome: home, own: [core] },
    }).catch((error: { code: string }) => error.code);
    if (typeof policy === "string") {
      expect(policy, permissions.join(" ")).toMatch(/^sandbox\.path_(forbidden|inexpressible|is_link)$/);
      refused += 1;
      continue;
    }
    const box = await start(namespace, ["/bin/sh", "-c", TOUCH], { policy, cwd: "/" });
    box.release();
    await box.ended;
    const lines = (await outputOf(box)).split("\n");
    const opened = (kind: string): string[] => lines.flatMap((line) => (line.startsWith(kind) ? [line.slice(2)] : []));
    expect(opened("r"), permissions.join(" ")).toEqual(covered(permissions, "read"));
    expect(opened("w"), permissions.join(" ")).toEqual(covered(permissions, "write"));
    compared += 1;
  }
  // A generator that only makes what is refused, or nothing that is, would prove nothing.
  expect(compared).toBeGreaterThan(refused / 4);
  expect(refused).toBeGreaterThan(0);
});

test("a pattern that covers too many single files is refused, and as a folder it is one place", async () => {
  const many = join(home, "many");
  mkdirSync(many);
  for (let index = 0; index <= MAX_PLACES; index += 1) writeFileSync(join(many, `${index}.log`), "");
  const settings = { home, forbidden: [core] };
  await expect(grantedPlaces(["filesystem:read:~/many/*.log"], settings)).rejects.toMatchObject({
    code: "sandbox.too_many_places",
  });
  expect(await grantedPlaces(["filesystem:read:~/many/*.log", "filesystem:read:~/many/**"], settings)).toHaveLength(1);
});

test("a wider place takes the narrower ones in, and writing wins over reading", async () => {
  const settings = { home, forbidden: [core] };
  const places = async (...permissions: string[]): Promise<string[]> =>
    (await grantedPlaces(permissions, settings)).map(
      ({ path, write }) => `${write ? "w" : "r"} ${path.slice(home.length)}`,
    );
  expect(await places("filesystem:read:~/a/**", "filesystem:read:~/a/b/**", "filesystem:read:~/a/c.md")).toEqual([
    "r /a",
  ]);
  expect(await places("filesystem:read:~/a/**", "filesystem:write:~/a/b/**")).toEqual(["r /a", "w /a/b"]);
  expect(await places("filesystem:write:~/a/**", "filesystem:read:~/a/b/**")).toEqual(["w /a"]);
  expect(await places("filesystem:read:/usr/share/**", "env:read:X", "nonsense")).toEqual([]);
});
