import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { Link, useLocation } from "wouter";
import { agentsQuery, liveRunsQuery, statusQuery } from "../api/queries.ts";
import { connectionStore } from "../live/events.ts";
import { useStore } from "../live/store.ts";
import { Icon, type IconName, Mark } from "../ui/icon.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { counted } from "../ui/time.tsx";
import { showTabState } from "./favicon.ts";
import { agentPath } from "./hash-location.ts";
import { ThemeSwitch } from "./theme-switch.tsx";

const PLACES: { path: string; name: string; icon: IconName; isHere: (path: string) => boolean }[] = [
  { path: "/", name: "Agents", icon: "agents", isHere: (path) => path === "/" || path.startsWith("/agents") },
  { path: "/audit", name: "Audit", icon: "audit", isHere: (path) => path.startsWith("/audit") },
  { path: "/doctor", name: "Doctor", icon: "doctor", isHere: (path) => path.startsWith("/doctor") },
  { path: "/settings", name: "Settings", icon: "settings", isHere: (path) => path.startsWith("/settings") },
];

export function Shell({ children }: { children: ReactNode }) {
  const [path] = useLocation();
  const place = PLACES.find(({ isHere }) => isHere(path));
  useTabState(titleOf(path) ?? place?.name ?? "No such address");
  return (
    <div className="shell">
      <a
        className="skip"
        href="#content"
        onClick={(event) => {
          // The part behind the # is the place in the page: the link must not change it.
          event.preventDefault();
          document.getElementById("content")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header className="bar">
        <Link href="/" className="brand" aria-label="OpenSentience, agents">
          <Mark />
          <span>OpenSentience</span>
        </Link>
        <nav className="places" aria-label="Screens">
          {PLACES.map(({ path: to, name, icon, isHere }) => (
            <Link key={to} href={to} className="place" aria-current={isHere(path) ? "page" : undefined}>
              <Icon name={icon} size={18} />
              <span>{name}</span>
            </Link>
          ))}
        </nav>
        <div className="bar-foot">
          <Connection />
          <ThemeSwitch />
        </div>
      </header>
      <main id="content" className="content" tabIndex={-1}>
        <CoreNotice />
        {children}
      </main>
    </div>
  );
}

const MOST_NAMED = 3;

const CONNECTION = {
  connecting: { text: "Waiting", className: "connection-wait" },
  live: { text: "Live", className: "connection-live" },
  lost: { text: "Offline", className: "connection-lost" },
} as const;

function Connection() {
  const { text, className } = CONNECTION[useStore(connectionStore)];
  return (
    <span className={`connection ${className}`} role="status">
      <span className="connection-dot" aria-hidden="true" />
      {text}
    </span>
  );
}

/** What holds for every screen: nothing arrives, or Core itself is not whole. */
function CoreNotice() {
  const connection = useStore(connectionStore);
  const status = useQuery(statusQuery).data;
  const degraded = status?.degraded ?? null;
  return (
    <>
      {connection === "lost" && (
        <p className="notice notice-warn" role="status">
          <Icon name="alert" /> Core does not answer at the moment; what you see may be old. The page goes on by itself
          when it is back.
        </p>
      )}
      <Unsandboxed />
      {degraded !== null && (
        <p className="notice notice-bad" role="alert">
          <Icon name="alert" /> Core runs degraded: <OutsideText text={degraded} />
        </p>
      )}
    </>
  );
}

/** Nobody should forget that something runs which nothing holds: it stands above every screen. */
function Unsandboxed() {
  const runs = useQuery(liveRunsQuery).data ?? [];
  const open = runs.filter(({ pid, isolation }) => pid !== null && isolation !== null && isolation !== "sandbox");
  if (open.length === 0) return null;
  return (
    <section className="notice notice-bad" aria-label="Without a sandbox">
      <Icon name="alert" />
      <span>
        <strong>
          {counted(open.length, "agent")} {open.length === 1 ? "runs" : "run"} without a sandbox:
        </strong>{" "}
        {open.slice(0, MOST_NAMED).map(({ agent_id: agentId }, index) => (
          <span key={agentId}>
            {index > 0 && ", "}
            <Link href={agentPath(agentId)}>
              <OutsideText text={agentId} />
            </Link>
          </span>
        ))}
        {open.length > MOST_NAMED && ` and ${open.length - MOST_NAMED} more`}. Nothing holds what is approved of files
        and network.
      </span>
    </section>
  );
}

/** Of an agent's screen the last word of its id: `com.example.notes` is "notes". */
function titleOf(path: string): string | undefined {
  const id = /^\/agents\/([^/]+)/.exec(path)?.[1];
  return id === undefined ? undefined : decodeURIComponent(id).split(".").at(-1);
}

function useTabState(title: string): void {
  const agents = useQuery(agentsQuery).data;
  const runs = useQuery(liveRunsQuery).data;
  const connection = useStore(connectionStore);
  const failed = agents?.filter(({ status }) => status === "error").length ?? 0;
  const unwell = runs?.filter(({ health, leaked_pids: leaked }) => health === "unhealthy" || leaked.length > 0).length;
  const trouble = connection === "lost" ? "no connection" : failed + (unwell ?? 0) > 0 ? "an agent needs a look" : null;
  const running = runs?.filter(({ status }) => status === "running").length ?? 0;
  useEffect(() => showTabState({ running, trouble }, title), [running, trouble, title]);
}
