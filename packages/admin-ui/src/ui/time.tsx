/** Times and amounts as people read them. */
import { sizeText } from "@opensentience/protocol";
import { useEffect, useState } from "react";

const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

export function fullTime(at: string): string {
  return FULL.format(new Date(at));
}

export function clockTime(at: string | number): string {
  return CLOCK.format(new Date(at));
}

/** Of today the clock alone, otherwise the day too. The exact time stands in the title. */
export function Time({ at }: { at: string }) {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  return (
    <time dateTime={at} title={fullTime(at)}>
      {(isToday ? CLOCK : DAY).format(date)}
    </time>
  );
}

/** `4 s`, `3 min 12 s`, `5 h 2 min`, `12 d`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function bytes(value: number | null): string {
  return value === null ? "–" : sizeText(value);
}

export function percent(value: number | null): string {
  return value === null ? "–" : `${value >= 10 ? Math.round(value) : value.toFixed(1)} %`;
}

export function milliseconds(value: number | null): string {
  if (value === null) return "–";
  if (value >= 1_000) return `${(value / 1_000).toFixed(1)} s`;
  return `${value >= 10 ? Math.round(value) : value.toFixed(1)} ms`;
}

export function counted(count: number, noun: string): string {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}

/** The present, renewed every second, for what counts up or down. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
