import type { DoctorJson } from "@opensentience/protocol";
import { useQuery } from "@tanstack/react-query";
import { doctorQuery } from "../api/queries.ts";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/empty-note.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { NextStep, ProblemBox } from "../ui/problem-box.tsx";

const STATUS = {
  fail: { text: "Broken", tone: "bad", order: 0 },
  warn: { text: "Worth a look", tone: "warn", order: 1 },
  ok: { text: "Fine", tone: "ok", order: 2 },
} as const;

/** What is right and wrong on this machine, the worst first, each with what mends it. */
export function DoctorScreen() {
  const { data, error, isPending, isFetching, refetch } = useQuery(doctorQuery);
  return (
    <>
      <div className="screen-head">
        <h1>Doctor</h1>
        <div className="screen-acts">
          <Button icon="restart" busy={isFetching} onClick={() => void refetch()}>
            Look again
          </Button>
        </div>
      </div>
      {isPending && <Skeleton rows={6} label="Looking at this machine" />}
      {error !== null && <ProblemBox problem={error} onRetry={() => void refetch()} />}
      {data !== undefined && <Checks checks={data.checks} />}
    </>
  );
}

function Checks({ checks }: Pick<DoctorJson, "checks">) {
  const sorted = checks.toSorted((a, b) => STATUS[a.status].order - STATUS[b.status].order);
  const bad = checks.filter(({ status }) => status !== "ok").length;
  return (
    <>
      <p className={bad === 0 ? "notice notice-ok" : "notice notice-warn"} role="status">
        {bad === 0 ? "Everything is as it should be." : `${bad} of ${checks.length} checks need a look.`}
      </p>
      <ul className="checks card card-flush">
        {sorted.map((check) => (
          <li key={check.name} className="doctor-check">
            <Badge tone={STATUS[check.status].tone} dot>
              {STATUS[check.status].text}
            </Badge>
            <div>
              <p className="doctor-name">
                <OutsideText text={check.name} />
              </p>
              <p className="muted">
                <OutsideText text={check.message} lines />
              </p>
              {check.next_step !== null && <NextStep text={check.next_step} />}
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}
