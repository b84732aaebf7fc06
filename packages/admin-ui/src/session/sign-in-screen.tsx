import { useState } from "react";
import { hasStorage } from "../api/page-secret.ts";
import { Button } from "../ui/button.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import { TextField } from "../ui/field.tsx";
import { Mark } from "../ui/icon.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { type SessionState, signIn } from "./session.ts";

const ENDS: Record<Exclude<Extract<SessionState, { state: "signed-out" }>["ended"], false>, string> = {
  "signed-out": "You signed out in another tab. This one keeps its place, and nothing that it showed.",
  "token-changed":
    "Your session ended: you changed the token, which ends every session. The page keeps its place, and nothing that it showed.",
  unknown:
    "Your session ended: Core was started anew, the token was changed, the time was up, or another program on this address replaced the cookie. What you looked at is still here once you are back.",
};

type Props = { session: Exclude<SessionState, { state: "signed-in" }> };

export function SignInScreen({ session }: Props) {
  return (
    <main className="sign-in" id="content">
      <div className="sign-in-card">
        <div className="sign-in-head">
          <Mark size={40} />
          <h1>OpenSentience</h1>
        </div>
        {session.state === "checking" && (
          <p className="muted" role="status">
            Asking Core who you are…
          </p>
        )}
        {session.state === "unreachable" && <Unreachable />}
        {session.state === "signed-out" && <SignedOut session={session} />}
      </div>
      <p className="sign-in-foot">This page talks to the Core on your own machine and to nothing else.</p>
    </main>
  );
}

function Unreachable() {
  return (
    <div role="status">
      <p className="sign-in-lead">Core does not answer.</p>
      <p className="muted">It may be starting. The page keeps trying and goes on by itself.</p>
      <Command text="opensentience core start" />
    </div>
  );
}

function SignedOut({ session }: { session: Extract<SessionState, { state: "signed-out" }> }) {
  const [token, setToken] = useState("");
  return (
    <>
      {session.ended !== false ? (
        <p className="sign-in-lead" role="status">
          {ENDS[session.ended]}
        </p>
      ) : (
        <p className="sign-in-lead">Sign in with a link from your terminal.</p>
      )}
      {!hasStorage() && (
        <p className="muted" role="status">
          Your browser keeps nothing for this page. A session then holds for this tab alone, until it is loaded again;
          where cookies are blocked too, there can be none. Allow site data for 127.0.0.1.
        </p>
      )}
      {session.problem !== null && <ProblemBox problem={session.problem} />}
      <Command text="opensentience open" />
      <p className="muted small">It opens this page, signed in. The link works once, for a minute.</p>
      <form
        className="sign-in-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim() !== "") void signIn({ token: token.trim() });
        }}
      >
        <TextField
          label="Or paste Core’s token"
          hint={
            <>
              It stands in the file <code>state/web.token</code> of Core’s home: <code>~/.opensentience</code>, unless
              Core was started with another.
            </>
          }
          type="password"
          value={token}
          onChange={setToken}
          code
        />
        <Button type="submit" kind="primary" icon="key" busy={session.busy}>
          Sign in
        </Button>
      </form>
    </>
  );
}

function Command({ text }: { text: string }) {
  return (
    <p className="command">
      <code>{text}</code>
      <CopyButton text={text} label="Copy the command" />
    </p>
  );
}
