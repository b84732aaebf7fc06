/** The user ended the command (Ctrl-C, Ctrl-D at a question, `q`); the exit code is 130 and nothing is printed. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted");
    this.name = "Interrupted";
  }
}
