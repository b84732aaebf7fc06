/** Short results of acts: spoken by a screen reader, seen for a few seconds. */
import { Store, useStore } from "../live/store.ts";
import { OutsideText } from "../ui/outside-text.tsx";

type Note = { id: number; text: string };

const SHOWN_MS = 5_000;
const notes = new Store<readonly Note[]>([]);
let last = 0;

export function announce(text: string): void {
  const note = { id: (last += 1), text };
  notes.set([...notes.get().slice(-2), note]);
  setTimeout(() => notes.set(notes.get().filter(({ id }) => id !== note.id)), SHOWN_MS);
}

export function Announcer() {
  return (
    <div className="notes" role="status" aria-live="polite">
      {useStore(notes).map(({ id, text }) => (
        <p key={id} className="note">
          <OutsideText text={text} />
        </p>
      ))}
    </div>
  );
}
