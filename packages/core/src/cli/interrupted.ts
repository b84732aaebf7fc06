/**
 * The user ended the command (Ctrl-C, Ctrl-D at a question, `q`); the exit code is 130. `outcome` says what that left
 * behind, for people; where nothing was begun there is nothing to say.
 */
export class Interrupted extends Error {
  readonly outcome: string | undefined;

  constructor(outcome?: string) {
    super("interrupted");
    this.name = "Interrupted";
    this.outcome = outcome;
  }
}

/** `act`, with what it means that it was interrupted. */
export async function interruptedAs<T>(outcome: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof Interrupted && error.outcome === undefined ? new Interrupted(outcome) : error;
  }
}
