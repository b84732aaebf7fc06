/**
 * The audit log as a list of any length. Pages are read by key when they come near the view, the cursor of each is
 * known once the one before was read, and pages far from the view are let go: a million rows cost no more than a few
 * screens of them. What is recorded while the screen is open stands before the first page.
 */
import type { AuditEventJson } from "@opensentience/protocol";
import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { call } from "../api/client.ts";
import { onEvent } from "../live/events.ts";

export type AuditFilter = Partial<
  Record<"type" | "agent" | "actor" | "severity" | "correlation_id" | "since" | "until", string>
>;

const PAGE_ROWS = 200;
/** More new rows than that, and the list begins anew. */
const MAX_FRESH = 1_000;
const ASK_MS = 300;

type Page = { items: AuditEventJson[]; next: string | null };
export type AuditPages = {
  /** Rows known to exist; one more while there are further pages. */
  count: number;
  row: (index: number) => AuditEventJson | undefined;
  /** Rows `from` to `to` are in view. */
  show: (from: number, to: number) => void;
  isLoading: boolean;
  problem: unknown;
  reload: () => void;
};

export function useAuditPages(filter: AuditFilter): AuditPages {
  const client = useQueryClient();
  const key = JSON.stringify(filter);
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null]);
  const [isWhole, setWhole] = useState(false);
  const [fresh, setFresh] = useState<readonly AuditEventJson[]>([]);
  /** First and last page in view. */
  const [view, setView] = useState<[number, number]>([0, 0]);
  const [rowsOfLast, setRowsOfLast] = useState(0);
  /** The newest row that is shown or waits to be. */
  const newest = useRef(0);

  const reload = useCallback(() => {
    setCursors([null]);
    setWhole(false);
    setFresh([]);
    newest.current = 0;
    setView([0, 0]);
    void client.resetQueries({ queryKey: ["audit"] });
  }, [client]);

  useEffect(() => {
    const isFiltered = key !== "{}";
    let timer: ReturnType<typeof setTimeout> | undefined;
    const add = (items: readonly AuditEventJson[]): void => {
      const more = items.filter(({ seq }) => seq > newest.current).toSorted((a, b) => b.seq - a.seq);
      const oldest = more.at(-1);
      if (more[0] === undefined || oldest === undefined) return;
      // Something was recorded between the first page and the first event.
      if (!isFiltered && newest.current > 0 && oldest.seq > newest.current + 1) return reload();
      newest.current = more[0].seq;
      setFresh((before) => [...more, ...before]);
    };
    // Which events a filter lets through is Core's answer, so a filtered list asks for its newest rows again.
    const ask = async (): Promise<void> => {
      timer = undefined;
      const query = { ...(JSON.parse(key) as AuditFilter), limit: PAGE_ROWS };
      add((await call("list_audit", { query }).catch(() => ({ items: [] }))).items);
    };
    const off = [
      onEvent("audit", ({ items, dropped }) => {
        if (dropped !== undefined) return reload();
        if (isFiltered) timer ??= setTimeout(() => void ask(), ASK_MS);
        else add(items);
      }),
      onEvent("reset", reload),
    ];
    return () => {
      clearTimeout(timer);
      for (const end of off) end();
    };
  }, [key, reload]);
  useEffect(() => {
    if (fresh.length > MAX_FRESH && view[0] === 0) reload();
  }, [fresh.length, view, reload]);

  const wanted = useMemo(() => pagesInView(view, cursors.length), [view, cursors.length]);
  const pages = useQueries({
    queries: wanted.map((page) => ({
      queryKey: ["audit", key, cursors[page] ?? null],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        call(
          "list_audit",
          { query: { ...filter, limit: PAGE_ROWS, ...(cursors[page] == null ? {} : { cursor: cursors[page] }) } },
          signal,
        ),
      // Rows of the log never change, but for an erased one; only the first page grows old.
      staleTime: Infinity,
      gcTime: 60_000,
      refetchOnWindowFocus: false,
    })),
  });
  const byPage = new Map(wanted.map((page, index) => [page, pages[index]?.data as Page | undefined]));

  const last = byPage.get(cursors.length - 1);
  useEffect(() => {
    if (last === undefined) return;
    setRowsOfLast(last.items.length);
    setWhole(last.next === null);
    if (last.next !== null && needsNext(view, cursors.length)) setCursors([...cursors, last.next]);
  }, [last, view, cursors]);

  const first = byPage.get(0)?.items[0]?.seq ?? 0;
  useEffect(() => {
    newest.current = Math.max(newest.current, first);
  }, [first]);
  const before = useMemo(() => fresh.filter((event) => event.seq > first), [fresh, first]);
  const paged = (cursors.length - 1) * PAGE_ROWS + (isWhole ? rowsOfLast : Math.max(rowsOfLast, 1));
  const failed = pages.find(({ isError }) => isError);
  return {
    count: before.length + paged,
    row: (index) => {
      if (index < before.length) return before[index];
      const at = index - before.length;
      return byPage.get(Math.floor(at / PAGE_ROWS))?.items[at % PAGE_ROWS];
    },
    show: (from, to) => {
      const [firstPage, lastPage] = [pageOf(from - before.length), pageOf(to - before.length)];
      if (firstPage !== view[0] || lastPage !== view[1]) setView([firstPage, lastPage]);
    },
    isLoading: pages.some(({ isPending }) => isPending),
    problem: failed?.error ?? null,
    reload,
  };
}

/** The page of a row, counted from the first page. */
function pageOf(row: number): number {
  return Math.max(0, Math.floor(row / PAGE_ROWS));
}

/** Numbers of the pages in view and one to each side, of those whose cursor is known. */
function pagesInView([from, to]: [number, number], known: number): number[] {
  const first = Math.max(0, from - 1);
  const last = Math.min(known - 1, to + 1);
  return Array.from({ length: Math.max(1, last - first + 1) }, (_, index) => Math.min(first + index, known - 1)).filter(
    (page, index, all) => all.indexOf(page) === index,
  );
}

function needsNext([, to]: [number, number], known: number): boolean {
  return to + 1 >= known;
}
