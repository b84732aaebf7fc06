/**
 * Signed checkpoints of the audit chain: C2SP signed notes (c2sp.org/signed-note) with an Ed25519 signature.
 *
 *   opensentience/audit           origin
 *   <size>                        number of events
 *   <base64 of the row hash>      of event <size>
 *   at <RFC 3339>
 *
 *   — <key name> <base64(key id ‖ signature)>
 *
 * The notes are kept in one append-only file beside the database, so that cutting the table below a checkpoint, or
 * rewriting it, shows. Whoever can read the key can forge a note: copies kept elsewhere are what a same-user attacker
 * cannot reach (docs/audit-log.md says so).
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  sign,
  verify,
  type KeyObject,
} from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { appendPrivateFile, writePrivateFile } from "../host/private-file.ts";

const ORIGIN = "opensentience/audit";
const KEY_NAME = "opensentience-core";
/** Signature type of Ed25519 in a signed note. */
const ED25519 = 1;

export type Checkpoint = { size: number; hash: string; at: string; valid: boolean };

export class Checkpoints {
  readonly #path: string;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #keyId: Buffer;

  private constructor(path: string, privateKey: KeyObject) {
    this.#path = path;
    this.#privateKey = privateKey;
    this.#publicKey = createPublicKey(privateKey);
    const raw = Buffer.from(this.#publicKey.export({ format: "jwk" }).x ?? "", "base64url");
    this.#keyId = Buffer.from(
      hash("sha256", Buffer.concat([Buffer.from(`${KEY_NAME}\n`), Buffer.of(ED25519), raw]), "buffer"),
    ).subarray(0, 4);
  }

  /** Makes the key on first use; it stays in a 0600 file and is never shown. */
  static async open(keyPath: string, checkpointsPath: string): Promise<Checkpoints> {
    if (!existsSync(keyPath)) {
      const { privateKey } = generateKeyPairSync("ed25519");
      await writePrivateFile(keyPath, privateKey.export({ format: "pem", type: "pkcs8" }).toString());
    }
    return new Checkpoints(checkpointsPath, createPrivateKey(readFileSync(keyPath, "utf8")));
  }

  /** Signs and appends durably; returns the note's text. */
  async write(size: number, rowHash: string, at: string): Promise<string> {
    const text = `${ORIGIN}\n${size}\n${Buffer.from(rowHash, "hex").toString("base64")}\nat ${at}\n`;
    const signature = sign(null, Buffer.from(text), this.#privateKey);
    const note = `${text}\n\u2014 ${KEY_NAME} ${Buffer.concat([this.#keyId, signature]).toString("base64")}\n`;
    await appendPrivateFile(this.#path, `${note}\n`);
    return note;
  }

  /** Every note of the file, oldest first; one that does not parse or verify is there with `valid: false`. */
  read(): Checkpoint[] {
    if (!existsSync(this.#path)) return [];
    return splitNotes(readFileSync(this.#path, "utf8")).map((note) => this.parse(note));
  }

  /** One note, from this file or kept elsewhere; white space at its end does not matter. */
  parse(given: string): Checkpoint {
    const note = `${given.trimEnd()}\n`;
    const match = /^([^\n]+)\n(\d+)\n([A-Za-z0-9+/=]+)\nat ([^\n]+)\n\n\u2014 ([^ \n]+) ([A-Za-z0-9+/=]+)\n$/.exec(
      note,
    );
    if (match === null) return { size: 0, hash: "", at: "", valid: false };
    const [, origin, size, rootHash = "", at = "", , signature = ""] = match;
    const blob = Buffer.from(signature, "base64");
    const text = note.slice(0, note.indexOf("\n\n") + 1);
    const valid =
      origin === ORIGIN &&
      blob.subarray(0, 4).equals(this.#keyId) &&
      verify(null, Buffer.from(text), this.#publicKey, blob.subarray(4));
    return { size: Number(size), hash: Buffer.from(rootHash, "base64").toString("hex"), at, valid };
  }
}

/** Notes stand one after another, each ended by its signature line and a blank line. */
function splitNotes(text: string): string[] {
  return text.split(/(?<=\n\u2014 [^\n]*\n)\n/).filter((note) => note.trim() !== "");
}
