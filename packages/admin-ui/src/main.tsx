/**
 * The page of Core: one document, everything else from the control API that the command line uses too.
 *
 * It decides nothing. What an agent may do, what comes next and what is wrong is Core's word, shown; what is pressed is
 * asked of Core. Live changes come over one event stream per browser (live/). Text of others goes through
 * ui/outside-text.tsx and is never markup.
 */
import { QueryClient } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { Problem } from "./api/problem.ts";
import { App } from "./app.tsx";
import { applyEvents } from "./live/apply-events.ts";
import { openEvents } from "./live/events.ts";
import { forgetMetrics, openMetrics } from "./live/metrics.ts";
import { onSignedOut, openSession } from "./session/session.ts";
import { forgetCalls } from "./tools/tool-calls.ts";
import { applyTheme, themeStore } from "./shell/theme.ts";

/** A reload that did not help is not done again. */
const RELOAD_ONCE_MS = 30_000;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Events say when something changed; the rest is for a page that heard nothing for a while.
      staleTime: 30_000,
      refetchOnWindowFocus: true,
      retryDelay: 1_000,
      // Only silence is worth another try: what Core refused it refuses again.
      retry: (count, problem) => count < 2 && problem instanceof Problem && problem.code === "page.unreachable",
    },
  },
});

/** The files of a newer page took the place of this one's: its parts that are not loaded yet exist no more. */
window.addEventListener("vite:preloadError", (event) => {
  const last = Number(sessionStorage.getItem("opensentience-reloaded") ?? 0);
  if (Date.now() - last < RELOAD_ONCE_MS) return;
  event.preventDefault();
  sessionStorage.setItem("opensentience-reloaded", String(Date.now()));
  location.reload();
});

applyTheme(themeStore.get());
applyEvents(client);
onSignedOut(() => {
  forgetCalls();
  forgetMetrics();
  client.clear();
});
openMetrics();
openEvents();
openSession();

const root = document.getElementById("page");
if (root !== null) createRoot(root).render(<App client={client} />);
