/**
 * Redaction: nothing that Core stores or shows may carry a secret.
 *
 * What it owns: the set of secrets that are alive now (admin token, session tokens, approved environment values)
 * and the knowledge of what well-known credentials look like.
 *
 * Life cycle: one Redactor per Core. Whoever makes a secret calls `protect` and keeps the function that forgets it;
 * log capture opens a `stream` per output; everybody else calls `text` or `metadata` right before storing.
 *
 * What it promises: a live secret of 8 bytes or more goes in every form listed in live-secrets.ts, also when it is
 * split over writes or interrupted by terminal escapes; shapes and telling names go as far as the tables know them.
 * Time is linear in the input, and ordinary text is only read, not copied.
 *
 * What it refuses: to be the only wall. An agent that wants to leak a secret can always encode it in a way nobody
 * looks for; redaction protects against accidents.
 */

import { LiveSecrets } from "./live-secrets.ts";
import { redactArguments } from "./redacted-arguments.ts";
import { redactMetadata } from "./redacted-metadata.ts";
import { RedactionStream } from "./redaction-stream.ts";

export { SHORTEST_SECRET_BYTES } from "./live-secrets.ts";
export type { RedactionStream } from "./redaction-stream.ts";

export class Redactor {
  readonly #live = new LiveSecrets();

  /**
   * Redacts `value` as `[redacted:<label>]` from now on; the returned function forgets it (a value protected twice
   * must be forgotten twice). Values under 8 bytes are ignored.
   */
  protect(value: string, label: string): () => void {
    return this.#live.add(value, label);
  }

  /** The text without secrets. */
  text(input: string): string {
    const stream = this.stream();
    return stream.push(input) + stream.flush();
  }

  /** A copy that is safe to store: at most 8 KiB of JSON, 6 levels, plain values; secret-looking keys lose their value. */
  metadata(value: Record<string, unknown>): Record<string, unknown> {
    return redactMetadata(value, (text) => this.text(text));
  }

  /** Each argument of a program without secrets; an argument after `--token` and the like is one. */
  arguments(values: readonly string[]): string[] {
    return redactArguments(values, (text) => this.text(text));
  }

  /** For text that arrives in pieces; one per source. */
  stream(): RedactionStream {
    return new RedactionStream(this.#live);
  }
}
