/** Asks the operating system for the addresses of a name: hosts file, DNS and whatever else it is set up to ask. */
import { lookup } from "node:dns/promises";
import { CoreError } from "@opensentience/protocol";

/** All addresses of a name, best first. Rejects when there is none. */
export type Resolve = (name: string) => Promise<string[]>;

export const systemResolve: Resolve = async (name) =>
  (await lookup(name, { all: true, order: "verbatim" })).map(({ address }) => address);

/**
 * Lookups of one run: few at once, the others in line. SECURITY: a lookup holds a thread that all runs share for as long
 * as a name server likes; pinned by "a run asks for few names at once".
 */
export class NameLookup {
  static readonly atOnce = 2;
  readonly #resolve: Resolve;
  #active = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  /** Throws `egress.unresolved`, and `egress.timeout` after `timeoutMs`, waiting in line included. */
  async addressesOf(name: string, timeoutMs: number): Promise<string[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const error = new CoreError("egress.timeout", `${name} was not resolved within ${timeoutMs} ms`);
      timer = setTimeout(() => reject(error), timeoutMs);
    });
    try {
      return await Promise.race([this.#inTurn(name), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #inTurn(name: string): Promise<string[]> {
    if (this.#active >= NameLookup.atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#active += 1;
    try {
      const addresses = await this.#resolve(name);
      if (addresses.length === 0) throw new Error("no address");
      return addresses;
    } catch (cause) {
      throw new CoreError("egress.unresolved", `${name} has no address`, { cause });
    } finally {
      // The place goes from hand to hand: whoever waits longest has it now.
      const next = this.#waiting.shift();
      if (next === undefined) this.#active -= 1;
      else next();
    }
  }
}
