/** A piece of text that must go. `from` is where the context begins that made it recognisable (e.g. `password=`). */
export type Span = { from: number; start: number; end: number; label: string };

/** Sorted and without overlaps; of overlapping spans the union stays, with the label of the one listed first. */
export function mergeSpans(spans: readonly Span[]): Span[] {
  const ranked = spans
    .map((span, rank) => ({ ...span, rank }))
    .toSorted((a, b) => a.start - b.start || a.rank - b.rank);
  const merged: (Span & { rank: number })[] = [];
  for (const found of ranked) {
    const last = merged.at(-1);
    const isNew = last === undefined || found.start >= last.end;
    // SECURITY: the name before a value may begin inside a secret: cut or quoted there, it would show a part of that;
    // pinned by "a live secret right before a telling name is shown neither by a cut nor by the label".
    const before = merged.at(isNew ? -1 : -2)?.end ?? 0;
    const span = found.from < before ? { ...found, from: before, label: "secret" } : found;
    if (isNew) {
      merged.push(span);
      continue;
    }
    last.end = Math.max(last.end, span.end);
    last.from = Math.min(last.from, span.from);
    if (span.rank < last.rank) {
      last.rank = span.rank;
      last.label = span.label;
    }
  }
  return merged;
}

/** `spans` must come from `mergeSpans`. */
export function renderSpans(text: string, spans: readonly Span[]): string {
  if (spans.length === 0) return text;
  let shown = "";
  let at = 0;
  for (const span of spans) {
    shown += `${text.slice(at, span.start)}[redacted:${span.label}]`;
    at = span.end;
  }
  return shown + text.slice(at);
}
