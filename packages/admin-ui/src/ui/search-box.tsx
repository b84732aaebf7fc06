import { useEffect, useId, useRef } from "react";
import { Icon } from "./icon.tsx";
import { usePausedText } from "./paused-text.ts";

type Props = { label: string; value: string; onChange: (value: string) => void; hotkey?: boolean };

const PAUSE_MS = 120;

/** Hands its text on after a short pause. `/` anywhere in the page goes to it. */
export function SearchBox({ label, value, onChange, hotkey = true }: Props) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [text, type] = usePausedText({ value, onChange, pauseMs: PAUSE_MS });
  useEffect(() => {
    if (!hotkey) return;
    const press = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (
        event.key !== "/" ||
        event.ctrlKey ||
        event.metaKey ||
        target.closest("input, textarea, select, [role=dialog]")
      )
        return;
      event.preventDefault();
      input.current?.focus();
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [hotkey]);
  return (
    <div className="search">
      <Icon name="search" />
      <label htmlFor={id} className="visually-hidden">
        {label}
      </label>
      <input
        id={id}
        ref={input}
        type="search"
        className="input"
        placeholder={label}
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => type(event.target.value)}
      />
      {hotkey && text === "" && <kbd aria-hidden="true">/</kbd>}
    </div>
  );
}
