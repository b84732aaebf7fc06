/**
 * Questions to the person at the terminal, asked on stderr. Only made where there is a terminal to ask on.
 *
 * The terminal stays in its usual line mode, so that Ctrl-C reaches the process as the signal it is also while Core
 * works on the answer. Lines typed ahead answer the questions that follow. Ctrl-C and Ctrl-D end the command.
 */
import { createInterface, type Interface } from "node:readline";
import { Interrupted } from "./interrupted.ts";
import type { Output } from "./output.ts";

export class Prompt {
  readonly #lines: string[] = [];
  readonly #interface: Interface;
  readonly #output: Output;
  #waiting: { resolve: (line: string) => void; reject: (error: Error) => void } | undefined;
  #ended = false;

  constructor(input: NodeJS.ReadableStream, output: Output, signal: AbortSignal) {
    this.#output = output;
    this.#interface = createInterface({ input, terminal: false });
    this.#interface.on("line", (line) => this.#take(line));
    this.#interface.on("close", () => this.#end());
    signal.addEventListener("abort", () => this.#end(), { once: true });
  }

  /** Shown before a question; foreign parts must be safe already. */
  show(text: string): void {
    this.#output.ask(`${text}\n`);
  }

  /** The trimmed answer. Throws Interrupted. */
  async ask(question: string): Promise<string> {
    this.#output.ask(question);
    const typedAhead = this.#lines.shift();
    if (typedAhead !== undefined) return typedAhead.trim();
    if (this.#ended) throw new Interrupted();
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve: (line) => resolve(line.trim()), reject };
    });
  }

  /** No is the default. */
  async confirm(question: string): Promise<boolean> {
    return /^y(es)?$/i.test(await this.ask(`${question} [y/N] `));
  }

  close(): void {
    this.#interface.close();
  }

  #take(line: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#lines.push(line);
    else waiting.resolve(line);
  }

  #end(): void {
    this.#ended = true;
    if (this.#waiting !== undefined) this.#output.ask("\n");
    this.#waiting?.reject(new Interrupted());
    this.#waiting = undefined;
  }
}
