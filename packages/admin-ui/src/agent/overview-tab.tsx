import { commandText, isErrorPast } from "@opensentience/protocol";
import type { ReactNode } from "react";
import { metricsStore, runPoints } from "../live/metrics.ts";
import { useStore } from "../live/store.ts";
import { agentPath, buildLogPath } from "../shell/hash-location.ts";
import { Link } from "wouter";
import { Breakable } from "../ui/breakable.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { NextStep } from "../ui/problem-box.tsx";
import { bytes, fullTime, percent, Time } from "../ui/time.tsx";
import { TimeChart } from "../ui/time-chart.tsx";
import type { Agent } from "./agent-screen.tsx";

export function OverviewTab({ agent }: { agent: Agent }) {
  const next = agent.next_step;
  const isPast = isErrorPast(agent);
  return (
    <div className="columns">
      <div className="stack">
        {agent.last_error !== null && (
          <div className={isPast ? "notice" : "notice notice-bad"}>
            <span>
              {isPast ? (
                <>
                  <strong>Past error</strong>
                  {agent.last_error_at !== null && (
                    <>
                      , <Time at={agent.last_error_at} />
                    </>
                  )}
                  .
                </>
              ) : (
                <strong>Last error.</strong>
              )}{" "}
              <OutsideText text={agent.last_error} />
              {agent.build_status === "failed" && (
                <Link className="notice-link" href={buildLogPath(agent.agent_id)}>
                  What the build printed
                </Link>
              )}
            </span>
          </div>
        )}
        {next !== null && (
          <section className="card">
            <h2>What comes next</h2>
            <NextStep text={next} />
          </section>
        )}
        <section className="card">
          <h2>What it is</h2>
          <dl className="facts">
            <Fact name="Id" value={agent.agent_id} copy />
            <Fact name="Starts" value={startText(agent)} code />
            <Fact name="Offers" value={agent.capabilities.join(", ") || null} />
            <Fact name="Keywords" value={agent.keywords.join(", ") || null} />
            <Row name="Held">{agent.held}</Row>
            <Row name="Started again">{RESTART[agent.restart_policy]}</Row>
          </dl>
        </section>
        <section className="card">
          <h2>Where it comes from</h2>
          <dl className="facts">
            <Fact name="Repository" value={agent.source_git_url} code />
            <Fact name="Asked for" value={agent.source_ref} code />
            <Fact name="Commit" value={agent.source_commit} code copy />
            <Fact name="Installed in" value={agent.install_path} code />
            <Fact name="Found in" value={agent.discovered_path} code />
            <Fact name="Missing since" value={agent.missing_since === null ? null : fullTime(agent.missing_since)} />
          </dl>
        </section>
      </div>
      <div className="stack">
        <Use agent={agent} />
        <Reach agent={agent} />
      </div>
    </div>
  );
}

function startText({ entrypoint }: Agent): string | null {
  return entrypoint === null ? null : commandText([entrypoint.value, ...entrypoint.args]);
}

const RESTART: Record<Agent["restart_policy"], string> = {
  never: "Never",
  "on-failure": "When it fails",
  always: "Always",
};

function Use({ agent }: { agent: Agent }) {
  const samples = useStore(metricsStore);
  const { run } = agent;
  if (run === null || run.pid === null || run.status !== "running") return null;
  return (
    <section className="card">
      <h2>What it uses</h2>
      <TimeChart name="CPU" points={runPoints(samples, run.run_id, "cpu_percent")} format={percent} />
      <TimeChart name="Memory" points={runPoints(samples, run.run_id, "memory_bytes")} format={bytes} />
    </section>
  );
}

/** The heart of it in three lines; the whole is one tab away. */
function Reach({ agent }: { agent: Agent }) {
  const approved = agent.requested_permissions.filter((permission) => permission.approved);
  return (
    <section className="card">
      <h2>What it may do</h2>
      {approved.length === 0 ? (
        <p className="muted">
          {agent.requested_permissions.length === 0 ? "It asked for nothing." : "Nothing of it is approved."}
        </p>
      ) : (
        <ul className="reach">
          {approved.slice(0, 6).map(({ permission, meaning }) => (
            <li key={permission}>
              <OutsideText text={meaning} />
            </li>
          ))}
          {approved.length > 6 && <li className="muted">and {approved.length - 6} more</li>}
        </ul>
      )}
      {agent.requested_permissions.length > 0 && (
        <p>
          <Link href={agentPath(agent.agent_id, "permissions")}>
            Everything it asked for ({agent.requested_permissions.length})
          </Link>
        </p>
      )}
    </section>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

type FactProps = { name: string; value: string | null; code?: boolean; copy?: boolean };

function Fact({ name, value, code = false, copy = false }: FactProps) {
  if (value === null || value === "") return null;
  return (
    <Row name={name}>
      {code ? (
        <code>
          <Breakable text={value} />
        </code>
      ) : copy ? (
        <Breakable text={value} />
      ) : (
        <OutsideText text={value} />
      )}
      {copy && <CopyButton text={value} label={`Copy ${name.toLowerCase()}`} />}
    </Row>
  );
}
