import type { AuditEventJson } from "@opensentience/protocol";
import { useMutation } from "@tanstack/react-query";
import { useCallback } from "react";
import { call, download } from "../api/client.ts";
import { toProblem } from "../api/problem.ts";
import { goTo, useQueryState, useQueryText } from "../shell/hash-location.ts";
import { Button } from "../ui/button.tsx";
import { EmptyNote } from "../ui/empty-note.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { AuditDetail } from "./audit-detail.tsx";
import { AuditFilters, FILTER_KEYS } from "./audit-filters.tsx";
import { type AuditFilter, useAuditPages } from "./audit-pages.ts";
import { AuditRows } from "./audit-rows.tsx";
import { VerifyResult } from "./verify-result.tsx";

const REVOKE_MS = 60_000;

/** What was done, by whom, and how it ended; newest first. The event that the address names is open beside it. */
export function AuditScreen({ eventId }: { eventId: string | undefined }) {
  const [query, change] = useQueryState();
  const search = useQueryText();
  const filter: AuditFilter = Object.fromEntries(
    FILTER_KEYS.flatMap((key) => {
      const value = query.get(key);
      return value === null || value === "" ? [] : [[key, value]];
    }),
  );
  const pages = useAuditPages(filter);
  const verify = useMutation({ mutationFn: () => call("verify_audit", { body: {} }) });
  const exporting = useMutation({
    mutationFn: async () => saveAs("audit.jsonl", await download("export_audit", { query: filter })),
  });
  const isFiltered = Object.keys(filter).length > 0;
  const place = (path: string): string => (search === "" ? path : `${path}?${search}`);
  const choose = useCallback(
    (event: AuditEventJson) => goTo(`/audit/${event.event_id}${search === "" ? "" : `?${search}`}`),
    [search],
  );
  return (
    <>
      <div className="screen-head">
        <h1>Audit</h1>
        <div className="screen-acts">
          <Button icon="download" busy={exporting.isPending} onClick={() => exporting.mutate()}>
            Export{isFiltered ? " these" : ""}
          </Button>
          <Button icon="shield" kind="primary" busy={verify.isPending} onClick={() => verify.mutate()}>
            Verify
          </Button>
        </div>
      </div>
      <div aria-live="polite">
        {verify.data !== undefined && <VerifyResult result={verify.data} onClose={() => verify.reset()} />}
      </div>
      {exporting.isError && <ProblemBox problem={exporting.error} />}
      {verify.isError && <ProblemBox problem={verify.error} />}
      <AuditFilters filter={filter} onChange={change} />
      {pages.problem !== null ? (
        <>
          <ProblemBox problem={pages.problem} onRetry={pages.reload} />
          <KnownTypes problem={pages.problem} words={filter.type ?? ""} onChoose={(type) => change({ type })} />
        </>
      ) : pages.count <= 1 && !pages.isLoading && pages.row(0) === undefined ? (
        <EmptyNote icon="audit" title={isFiltered ? "No event fits" : "Nothing is recorded yet"}>
          {isFiltered && (
            <Button onClick={() => change(Object.fromEntries(FILTER_KEYS.map((key) => [key, ""])))}>
              Take the filters away
            </Button>
          )}
        </EmptyNote>
      ) : (
        <AuditRows pages={pages} chosen={eventId} onChoose={choose} />
      )}
      {eventId !== undefined && <AuditDetail eventId={eventId} onClose={() => goTo(place("/audit"))} />}
    </>
  );
}

/** The browser's own way to save what a script has: a link that is pressed for nobody to see. */
function saveAs(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has the file by its handle; it is still read after the press.
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
}

type KnownProps = { problem: unknown; words: string; onChoose: (type: string) => void };

/** For a type that there is none of, Core names those that there are: the near ones as buttons. */
function KnownTypes({ problem, words, onChoose }: KnownProps) {
  const { known } = toProblem(problem).details;
  if (!Array.isArray(known)) return null;
  const types = known.map(String);
  const near = types.filter((type) => type.includes(words));
  return (
    <div className="chips known-types" role="group" aria-label="Event types">
      {(near.length === 0 ? types : near).map((type) => (
        <button key={type} type="button" className="chip" onClick={() => onChoose(type)}>
          {type}
        </button>
      ))}
    </div>
  );
}
