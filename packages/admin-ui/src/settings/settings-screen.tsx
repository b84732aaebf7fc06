import type { CoreStatusJson } from "@opensentience/protocol";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ActDialog } from "../acts/act-dialog.tsx";
import { call } from "../api/client.ts";
import { statusQuery } from "../api/queries.ts";
import { useStore } from "../live/store.ts";
import { rotateToken, sessionStore, signOut } from "../session/session.ts";
import { announce } from "../shell/announcer.tsx";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/empty-note.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { fullTime } from "../ui/time.tsx";

export function SettingsScreen() {
  const { data, error, isPending, refetch } = useQuery(statusQuery);
  return (
    <>
      <div className="screen-head">
        <h1>Settings</h1>
      </div>
      <div className="columns">
        <div className="stack">
          {isPending && <Skeleton rows={6} label="Loading the settings" />}
          {error !== null && <ProblemBox problem={error} onRetry={() => void refetch()} />}
          {data !== undefined && <Values config={data.config} />}
        </div>
        <div className="stack">
          <Session />
          {data !== undefined && <Core status={data} />}
        </div>
      </div>
    </>
  );
}

const ORIGINS = { flag: "flag", environment: "environment", file: "config.toml", default: "default" } as const;

/** Values are changed in config.toml or the environment, never from the page. */
function Values({ config }: Pick<CoreStatusJson, "config">) {
  return (
    <section className="card card-flush">
      <div className="card-head">
        <h2>Values</h2>
        <span className="muted small">read only; change them in config.toml</span>
      </div>
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Values of the settings">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Setting</th>
              <th scope="col">Value</th>
              <th scope="col">From</th>
            </tr>
          </thead>
          <tbody>
            {config.map(({ key, value, origin }) => (
              <tr key={key}>
                <th scope="row">
                  <code>{key}</code>
                </th>
                <td>
                  <code>
                    <OutsideText text={typeof value === "string" ? value : JSON.stringify(value)} />
                  </code>
                </td>
                <td>
                  <Badge tone={origin === "default" ? "calm" : "info"}>{ORIGINS[origin]}</Badge>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Session() {
  const session = useStore(sessionStore);
  const [isRotating, setRotating] = useState(false);
  if (session.state !== "signed-in") return null;
  const { actor, expires_at: expiresAt } = session.session;
  return (
    <section className="card">
      <h2>This session</h2>
      <dl className="facts">
        <dt>Signed in as</dt>
        <dd>
          <OutsideText text={actor} />
        </dd>
        <dt>Until</dt>
        <dd>{expiresAt === null ? "–" : fullTime(expiresAt)}</dd>
      </dl>
      <div className="row-buttons">
        <Button icon="exit" onClick={() => void signOut().catch((thrown: unknown) => announce(String(thrown)))}>
          Sign out
        </Button>
        <Button icon="key" onClick={() => setRotating(true)}>
          Rotate the token
        </Button>
      </div>
      {isRotating && (
        <ActDialog
          title="Rotate the token"
          lead={<p>Core takes a new token. Every session ends, this one and those of other browsers too.</p>}
          confirm="Rotate"
          kind="danger"
          icon="key"
          perform={rotateToken}
          done={() => "The token was changed"}
          onClose={() => setRotating(false)}
        />
      )}
    </section>
  );
}

function Core({ status }: { status: CoreStatusJson }) {
  const [isStopping, setStopping] = useState(false);
  return (
    <section className="card">
      <h2>Core</h2>
      <dl className="facts">
        <dt>Version</dt>
        <dd>{status.version}</dd>
        <dt>Process</dt>
        <dd>{status.pid ?? "–"}</dd>
        <dt>Started</dt>
        <dd>{status.started_at === null ? "–" : fullTime(status.started_at)}</dd>
        <dt>Home</dt>
        <dd>
          <code>
            <OutsideText text={status.home} />
          </code>
        </dd>
        <dt>Holds runs by</dt>
        <dd>
          {status.isolation === "sandbox"
            ? "a sandbox each (bubblewrap)"
            : status.isolation === "pid_namespace"
              ? "namespaces only: no sandbox"
              : "process groups only: no sandbox"}
          {status.isolation_reason !== null && (
            <span className="muted">
              {" "}
              <OutsideText text={status.isolation_reason} />
            </span>
          )}
        </dd>
      </dl>
      <div className="row-buttons">
        <Button icon="power" onClick={() => setStopping(true)}>
          Stop Core
        </Button>
      </div>
      {isStopping && (
        <ActDialog
          title="Stop Core"
          lead={
            <p>
              Every agent is stopped in order ({status.runs_live ?? 0} running), then Core. This page cannot start it
              again; <code>opensentience open</code> does.
            </p>
          }
          confirm="Stop Core"
          kind="danger"
          icon="power"
          perform={(_, signal) => call("stop_core", {}, signal)}
          done={() => "Core is stopping"}
          onClose={() => setStopping(false)}
        />
      )}
    </section>
  );
}
