/** Random bytes straight from the operating system, for programs too short-lived to load all of Node's cryptography. */
import { closeSync, openSync, readSync } from "node:fs";

/** `length` bytes as good as those of node:crypto (random(4)). Throws where the system has no such device. */
export function systemRandomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const device = openSync("/dev/urandom", "r");
  try {
    // A read of up to 256 bytes is never cut short.
    if (readSync(device, bytes) !== length) throw new Error("/dev/urandom gave too little");
    return bytes;
  } finally {
    closeSync(device);
  }
}
