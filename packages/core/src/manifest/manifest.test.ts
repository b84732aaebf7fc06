import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreError } from "@opensentience/protocol";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runTool } from "../host/child-process.ts";
import { MANIFEST_NAME, MAX_MANIFEST_BYTES, hashManifest, hashPermissions, readManifest } from "./manifest.ts";

const MANIFEST = {
  id: "com.example.notes",
  name: "Notes",
  version: "1.0.0",
  description: "Finds notes.",
  source: { git_url: "https://example.com/notes.git" },
  entrypoint: { type: "command", value: "./bin/agent" },
  permissions: ["network:egress:*", "env:read:LANG"],
  capabilities: ["tools"],
};

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "manifest-"));
  path = join(folder, MANIFEST_NAME);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function refusal(): Promise<CoreError> {
  const error: unknown = await readManifest(folder).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CoreError)) throw new Error("expected a CoreError");
  expect(error.details["path"]).toBe(path);
  expect(error.nextStep).toBeTruthy();
  return error;
}

describe("readManifest", () => {
  test("gives the manifest, both hashes and the time of the file", async () => {
    const text = JSON.stringify({ ...MANIFEST, future: true });
    writeFileSync(path, text);
    const file = await readManifest(folder);
    expect(file).toMatchObject({ path, unknownFields: ["future"], manifest: { id: "com.example.notes" } });
    expect(file.manifestHash).toBe(hashManifest(Buffer.from(text)));
    expect(file.requestedPermissionsHash).toBe(hashPermissions(MANIFEST.permissions));
    expect(file.mtimeNs).toBe(statSync(path, { bigint: true }).mtimeNs);
  });

  test("the hash goes by the bytes, not by what they mean", async () => {
    writeFileSync(path, JSON.stringify(MANIFEST));
    const before = await readManifest(folder);
    writeFileSync(path, `${JSON.stringify(MANIFEST)}\n`);
    const after = await readManifest(folder);
    expect(after.manifestHash).not.toBe(before.manifestHash);
    expect(after.requestedPermissionsHash).toBe(before.requestedPermissionsHash);
  });

  test.runIf(process.platform === "linux")(
    "a manifest that was reached through a link is refused where none may be",
    async () => {
      const real = realpathSync(folder);
      writeFileSync(path, JSON.stringify(MANIFEST));
      expect((await readManifest(real, { isReal: true })).path).toBe(join(real, MANIFEST_NAME));
      symlinkSync(real, join(real, "link"));
      expect((await readManifest(join(real, "link"))).manifest.id).toBe(MANIFEST.id);
      await expect(readManifest(join(real, "link"), { isReal: true })).rejects.toMatchObject({
        code: "manifest.unreadable",
      });
    },
  );

  test("tells a missing file and a missing folder", async () => {
    expect((await refusal()).code).toBe("manifest.missing");
    rmSync(folder, { recursive: true });
    expect((await refusal()).code).toBe("manifest.missing");
    writeFileSync(folder, "");
    expect((await refusal()).code).toBe("manifest.missing");
  });

  test("refuses links, FIFOs and folders without waiting", async () => {
    writeFileSync(join(folder, "real"), JSON.stringify(MANIFEST));
    symlinkSync("real", path);
    expect((await refusal()).code).toBe("manifest.unreadable");
    rmSync(path);
    symlinkSync("/dev/zero", path);
    expect((await refusal()).code).toBe("manifest.unreadable");
    rmSync(path);
    mkdirSync(path);
    expect((await refusal()).code).toBe("manifest.unreadable");
    rmSync(path, { recursive: true });
    const made = await runTool(["/usr/bin/mkfifo", path], { env: {}, timeoutMs: 5000, maxBytes: 1000 });
    expect(made.exitCode).toBe(0);
    expect((await refusal()).code).toBe("manifest.unreadable");
  });

  test("refuses a file that may not be read", async () => {
    writeFileSync(path, JSON.stringify(MANIFEST));
    chmodSync(path, 0);
    const outcome = await readManifest(folder).then(
      ({ manifest }) => manifest.id,
      (error: unknown) => (error instanceof CoreError ? error.code : error),
    );
    // Root may read everything.
    expect(outcome).toBe(process.getuid?.() === 0 ? MANIFEST.id : "manifest.unreadable");
  });

  test("takes 256 KiB and not one byte more", async () => {
    const text = JSON.stringify(MANIFEST);
    writeFileSync(path, text.padEnd(MAX_MANIFEST_BYTES, " "));
    expect((await readManifest(folder)).manifest.id).toBe(MANIFEST.id);
    writeFileSync(path, text.padEnd(MAX_MANIFEST_BYTES + 1, " "));
    expect((await refusal()).code).toBe("manifest.too_large");
  });

  test.each([
    [Buffer.from([0x7b, 0xff, 0x7d]), "manifest.invalid_encoding"],
    [Buffer.from([0x7b, 0xed, 0xa0, 0x80, 0x7d]), "manifest.invalid_encoding"],
    ["\ufeff{}", "manifest.invalid_json"],
    ["", "manifest.invalid_json"],
    ["[]", "manifest.invalid_json"],
    ["null", "manifest.invalid_json"],
    ['{"id":"a.b","id":"c.d"}', "manifest.invalid_json"],
    ['{"__proto__":{"id":"a.b"}}', "manifest.invalid_json"],
    ["{}", "manifest.invalid"],
  ])("refuses %j with %s", async (content, code) => {
    writeFileSync(path, content);
    expect((await refusal()).code).toBe(code);
  });

  test("lists every problem of the fields", async () => {
    writeFileSync(path, JSON.stringify({ ...MANIFEST, id: "X", version: "1" }));
    const error = await refusal();
    expect(error.message).toMatch(/id: "X" is no agent id.*; version: "1" is no semantic version/);
    expect(error.details["problems"]).toMatchObject([{ path: "id" }, { path: "version" }]);
  });
});

describe("hashPermissions", () => {
  test("is the same for every order, spacing and repetition, and another for every other list", () => {
    const entry = fc.constantFrom(
      "a:b",
      "c:d",
      "a:b:c",
      "network:egress:*",
      "filesystem:read:/a b/**",
      "a:b:ü",
      "a:b:😀",
    );
    const space = fc.constantFrom("", " ", "\t", "\n ", "\u00a0");
    fc.assert(
      fc.property(
        fc.array(entry),
        fc.array(entry),
        fc.array(space, { minLength: 1 }),
        fc.nat(),
        (list, other, spaces, turn) => {
          const at = turn % (list.length + 1);
          const again = [...list.slice(at), ...list.slice(0, at), ...list.slice(0, turn % 3), ""]
            .toReversed()
            .map((text, index) => `${spaces[index % spaces.length]}${text}${spaces[(index + 1) % spaces.length]}`);
          expect(hashPermissions(again)).toBe(hashPermissions(list));
          const isSame = new Set(list).symmetricDifference(new Set(other)).size === 0;
          expect(hashPermissions(other) === hashPermissions(list)).toBe(isSame);
        },
      ),
      { numRuns: 1000, seed: 7 },
    );
  });

  test("does not depend on order, spaces or repetition", () => {
    const hash = hashPermissions(["a:b", "c:d"]);
    expect(hashPermissions([" c:d", "a:b", "", "a:b"])).toBe(hash);
    expect(hashPermissions(["a:b"])).not.toBe(hash);
    expect(hashPermissions([])).toBe("4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945");
  });
});
