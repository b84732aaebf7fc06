import { useEffect, useRef, useState } from "react";

type PausedText = {
  value: string;
  onChange: (value: string) => void;
  /** For so long nothing must have been typed, in ms. */
  pauseMs: number;
  /** What is handed on of what was typed. */
  handedOn?: (text: string) => string;
};

/** The text of a field that is handed on once nothing was typed for a moment, and what takes what is typed. */
export function usePausedText({ value, onChange, pauseMs, handedOn = (text) => text }: PausedText) {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const last = useRef(value);
  useEffect(() => {
    // What was typed since must not be taken back by the address catching up.
    if (value === last.current) return;
    clearTimeout(timer.current);
    last.current = value;
    setText(value);
  }, [value]);
  const type = (next: string): void => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      last.current = handedOn(next);
      onChange(last.current);
    }, pauseMs);
  };
  return [text, type] as const;
}
