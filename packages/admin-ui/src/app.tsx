import { type QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { CSPProvider } from "@base-ui/react/csp-provider";
import { lazy, Suspense, useEffect } from "react";
import { Link, Route, Router, Switch } from "wouter";
import { AgentScreen } from "./agent/agent-screen.tsx";
import { AgentsScreen } from "./agents/agents-screen.tsx";
import { useStore } from "./live/store.ts";
import { sessionStore } from "./session/session.ts";
import { SignInScreen } from "./session/sign-in-screen.tsx";
import { Announcer } from "./shell/announcer.tsx";
import { FaultBoundary } from "./shell/fault-boundary.tsx";
import { usePath, useQueryText } from "./shell/hash-location.ts";
import { Shell } from "./shell/shell.tsx";
import { EmptyNote } from "./ui/empty-note.tsx";

const AuditScreen = lazy(() => import("./audit/audit-screen.tsx").then((m) => ({ default: m.AuditScreen })));
const DoctorScreen = lazy(() => import("./doctor/doctor-screen.tsx").then((m) => ({ default: m.DoctorScreen })));
const SettingsScreen = lazy(() =>
  import("./settings/settings-screen.tsx").then((m) => ({ default: m.SettingsScreen })),
);

export function App({ client }: { client: QueryClient }) {
  const session = useStore(sessionStore);
  const isSignedIn = session.state === "signed-in";
  const actor = isSignedIn ? session.session.actor : null;
  useEffect(() => {
    if (actor === null) return;
    void client.invalidateQueries();
  }, [actor, client]);
  return (
    // SECURITY: a style element of a component would be blocked by the policy of the page; pinned by "no console message".
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={client}>
        <Announcer />
        {isSignedIn ? <Screens /> : <SignInScreen session={session} />}
      </QueryClientProvider>
    </CSPProvider>
  );
}

function Screens() {
  return (
    <Router hook={usePath} searchHook={useQueryText}>
      <Shell>
        <FaultBoundary>
          <Suspense fallback={<EmptyNote icon="agents" title="Loading…" />}>
            <Switch>
              <Route path="/" component={AgentsScreen} />
              <Route path="/agents/:agentId/:tab?">
                {({ agentId, tab }) => <AgentScreen key={agentId} agentId={agentId} tab={tab ?? "overview"} />}
              </Route>
              <Route path="/audit/:eventId?">{({ eventId }) => <AuditScreen eventId={eventId} />}</Route>
              <Route path="/doctor" component={DoctorScreen} />
              <Route path="/settings" component={SettingsScreen} />
              <Route>
                <EmptyNote icon="search" title="This address does not exist">
                  <p>
                    The page has no such place. Go to <Link href="/">all agents</Link>.
                  </p>
                </EmptyNote>
              </Route>
            </Switch>
          </Suspense>
        </FaultBoundary>
      </Shell>
    </Router>
  );
}
