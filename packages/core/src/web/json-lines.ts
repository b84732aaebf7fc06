/** Records as JSON Lines, for the body of an answer: each is asked for when its reader takes it. */
import { type CoreError, errorToJson } from "@opensentience/protocol";

type Faults = {
  toError: (thrown: unknown) => CoreError;
  /** Hears of what broke off the records; it stands in the answer too, as its last line. */
  onFault: (thrown: unknown) => void;
};

/**
 * A reader may leave while the next record, or the end, is on its way: nothing is written any more then. The source is
 * ended with its reader; one that waits for something is ended by its own signal.
 */
export function jsonLines(records: AsyncIterable<unknown> | Iterable<unknown>, faults: Faults): ReadableStream {
  const iterator = iterate(records);
  const encoder = new TextEncoder();
  let hasReader = true;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const write = (record: unknown): void => {
        if (hasReader) controller.enqueue(encoder.encode(`${JSON.stringify(record)}\n`));
      };
      const end = (): void => {
        if (hasReader) controller.close();
      };
      try {
        const { value, done } = await iterator.next();
        if (done === true) return end();
        write(value);
      } catch (thrown) {
        faults.onFault(thrown);
        write(errorToJson(faults.toError(thrown)));
        end();
      }
    },
    async cancel() {
      hasReader = false;
      await iterator.return(undefined);
    },
  });
}

async function* iterate(records: AsyncIterable<unknown> | Iterable<unknown>): AsyncGenerator<unknown, undefined> {
  yield* records;
  return undefined;
}
