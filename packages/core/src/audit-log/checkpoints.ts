/**
 * Signed checkpoints of the audit chain: C2SP signed notes (c2sp.org/signed-note) with an Ed25519 signature.
 *
 *   opensentience/audit           origin
 *   <size>                        number of events
 *   <base64 of the row hash>      of event <size>
 *   at <RFC 3339>
 *   previous <base64>             SHA-256 of the note before; not in the first one
 *
 *   — <key name> <base64(key id ‖ signature)>
 *
 * The notes are kept in one append-only file beside the database, so that cutting the table below a checkpoint, or
 * rewriting it, shows. Each note names the one before it, and the database names the newest, so that a note that was
 * taken out shows too. A note that a crash left half written is none; it is cut off before the next one. Whoever can read the key can forge a note: copies kept elsewhere are what a same-user attacker
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
import { existsSync } from "node:fs";
import { CoreError } from "@opensentience/protocol";
import { killPoint } from "../host/kill-point.ts";
import { appendPrivateFile, readPrivateFile, writePrivateFile } from "../host/private-file.ts";

const ORIGIN = "opensentience/audit";
const KEY_NAME = "opensentience-core";
/** Signature type of Ed25519 in a signed note. */
const ED25519 = 1;
const MAX_KEY_BYTES = 16 * 1024;
/** Some 800,000 notes. */
const MAX_NOTES_BYTES = 256 * 1024 * 1024;

export type Checkpoint = {
  size: number;
  hash: string;
  at: string;
  /** SHA-256 of the note before this one, null for the first. */
  previous: string | null;
  /** SHA-256 of this note. */
  noteHash: string;
  valid: boolean;
};

export class Checkpoints {
  readonly #path: string;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #keyId: Buffer;
  readonly #onTornNote: (bytes: number) => void;
  /** SHA-256 of the note at the end of the file; undefined until it was looked at, and after a failure to append. */
  #newest: string | null | undefined;

  private constructor(path: string, privateKey: KeyObject, onTornNote: (bytes: number) => void) {
    this.#path = path;
    this.#onTornNote = onTornNote;
    this.#privateKey = privateKey;
    this.#publicKey = createPublicKey(privateKey);
    const raw = Buffer.from(this.#publicKey.export({ format: "jwk" }).x ?? "", "base64url");
    this.#keyId = Buffer.from(
      hash("sha256", Buffer.concat([Buffer.from(`${KEY_NAME}\n`), Buffer.of(ED25519), raw]), "buffer"),
    ).subarray(0, 4);
  }

  /**
   * Makes the key on first use; it stays in a 0600 file and is never shown. `onTornNote`: half a note was cut off. Throws
   * `audit.not_intact` for a key that cannot be read.
   */
  static async open(
    keyPath: string,
    checkpointsPath: string,
    onTornNote: (bytes: number) => void = () => {},
  ): Promise<Checkpoints> {
    if (!existsSync(keyPath)) {
      const { privateKey } = generateKeyPairSync("ed25519");
      await writePrivateFile(keyPath, privateKey.export({ format: "pem", type: "pkcs8" }).toString());
      killPoint("audit.key_made");
    }
    const privateKey = readable("the signing key", () => createPrivateKey(readPrivateFile(keyPath, MAX_KEY_BYTES)));
    return new Checkpoints(checkpointsPath, privateKey, onTornNote);
  }

  /**
   * Signs and appends durably. `recorded`: hash of the newest note that the database knows; where the file has lost it,
   * the new note still names it as the one before, so the gap stays visible.
   */
  async write(
    size: number,
    rowHash: string,
    at: string,
    recorded: string | null,
  ): Promise<{ note: string; noteHash: string }> {
    this.#newest ??= await this.#prepare(recorded);
    const root = Buffer.from(rowHash, "hex").toString("base64");
    const link = this.#newest === null ? "" : `previous ${Buffer.from(this.#newest, "hex").toString("base64")}\n`;
    const text = `${ORIGIN}\n${size}\n${root}\nat ${at}\n${link}`;
    const signature = sign(null, Buffer.from(text), this.#privateKey);
    const note = `${text}\n\u2014 ${KEY_NAME} ${Buffer.concat([this.#keyId, signature]).toString("base64")}\n`;
    this.#newest = undefined;
    await appendPrivateFile(this.#path, `${note}\n`);
    this.#newest = hash("sha256", note, "hex");
    return { note, noteHash: this.#newest };
  }

  /**
   * Every note of the file, oldest first; one that does not parse or verify is there with `valid: false`. Throws
   * `audit.not_intact` for a file that cannot be read.
   */
  read(): Checkpoint[] {
    return splitNotes(this.#text()).notes.map((note) => this.parse(note));
  }

  #text(): string {
    return readable("the file of checkpoints", () => {
      try {
        return readPrivateFile(this.#path, MAX_NOTES_BYTES);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
        throw error;
      }
    });
  }

  /** Cuts off half a note; the hash of the note that the next one follows. */
  async #prepare(recorded: string | null): Promise<string | null> {
    const text = this.#text();
    const { notes, rest } = splitNotes(text);
    const intact = notes.map((note) => `${note}\n`).join("");
    if (intact !== text) {
      await writePrivateFile(this.#path, intact);
      killPoint("audit.notes_cut");
      if (rest !== "") this.#onTornNote(Buffer.byteLength(rest));
    }
    const hashes = notes.map((note) => hash("sha256", note, "hex"));
    // SECURITY: without this a Core that starts with an emptied file would begin a new, flawless one.
    // Pinned by "finds a file of checkpoints that was removed, also after Core signed again".
    return recorded === null || hashes.includes(recorded) ? (hashes.at(-1) ?? null) : recorded;
  }

  /** One note, from this file or kept elsewhere; white space at its end does not matter. */
  parse(given: string): Checkpoint {
    const note = `${given.trimEnd()}\n`;
    const match =
      /^([^\n]+)\n(\d+)\n([A-Za-z0-9+/=]+)\nat ([^\n]+)\n(?:previous ([A-Za-z0-9+/=]{44})\n)?\n\u2014 ([^ \n]+) ([A-Za-z0-9+/=]+)\n$/.exec(
        note,
      );
    const noteHash = hash("sha256", note, "hex");
    if (match === null) return { size: 0, hash: "", at: "", previous: null, noteHash, valid: false };
    const [, origin, size, rootHash = "", at = "", previous, , signature = ""] = match;
    const blob = Buffer.from(signature, "base64");
    const text = note.slice(0, note.indexOf("\n\n") + 1);
    const valid =
      origin === ORIGIN &&
      blob.subarray(0, 4).equals(this.#keyId) &&
      verify(null, Buffer.from(text), this.#publicKey, blob.subarray(4));
    return {
      size: Number(size),
      hash: Buffer.from(rootHash, "base64").toString("hex"),
      at,
      previous: previous === undefined ? null : Buffer.from(previous, "base64").toString("hex"),
      noteHash,
      valid,
    };
  }
}

/**
 * SECURITY: what took the place of a file of the log (a FIFO, a link, a hole) must not keep Core from starting far enough
 * to say so; pinned by "what was planted in place of the audit log's files is said at the start, which does not wait".
 */
function readable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown error";
    throw new CoreError("audit.not_intact", `the audit log is not intact: ${what} cannot be read: ${reason}`, {
      cause,
      nextStep: "opensentience core status",
    });
  }
}

/** Notes stand one after another, each ended by its signature line and a blank line; `rest` is half a note. */
function splitNotes(text: string): { notes: string[]; rest: string } {
  const notes = text.split(/(?<=\n\u2014 [^\n]*\n)\n/).filter((note) => note.trim() !== "");
  const isWhole = notes.length === 0 || /\n\u2014 [^\n]*\n$/.test(notes.at(-1) ?? "");
  return { notes: isWhole ? notes : notes.slice(0, -1), rest: isWhole ? "" : (notes.at(-1) ?? "") };
}
