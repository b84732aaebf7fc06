import { type DriftJson, readFiles } from "@opensentience/protocol";
import type { ReactNode } from "react";
import { OutsideText } from "../ui/outside-text.tsx";
import { NextStep } from "../ui/problem-box.tsx";
import { counted } from "../ui/time.tsx";

/** What moved since the approval, by meaning: first what the agent may do more, then what it is, then its files. */
export function DriftView({ drift }: { drift: DriftJson }) {
  const { permissions, entrypoint, commit, fields, files } = drift.diff;
  return (
    <section className="card drift" aria-labelledby="moved">
      <h2 id="moved">What moved since you approved</h2>
      {drift.narrowing && (
        <p className="muted">It asks for nothing more than before; approving it again takes one press.</p>
      )}
      <ul className="changes">
        {permissions.added.map((permission) => (
          <Change key={`+${permission}`} sign="+" what="Asks for more" tone="bad">
            <Code text={permission} />
          </Change>
        ))}
        {permissions.widened.map(({ from, to }, index) => (
          <Change key={`w${index}`} sign="+" what="Asks for a wider one" tone="bad">
            <FromTo from={from} to={to} />
          </Change>
        ))}
        {permissions.narrowed.map(({ from, to }, index) => (
          <Change key={`n${index}`} sign="−" what="Asks for a narrower one" tone="ok">
            <FromTo from={from} to={to} />
          </Change>
        ))}
        {permissions.removed.map((permission) => (
          <Change key={`-${permission}`} sign="−" what="No longer asks for" tone="ok">
            <Code text={permission} />
          </Change>
        ))}
        {entrypoint !== null && (
          <Change sign="~" what="Starts something else" tone="bad">
            <FromTo {...entrypoint} />
          </Change>
        )}
        {commit !== null && (
          <Change sign="~" what="Another commit" tone="warn">
            <FromTo from={commit.from.slice(0, 12)} to={commit.to.slice(0, 12)} />
          </Change>
        )}
        {/* Long names are cut, and two of them may then read alike; two permissions may become one. */}
        {fields.map(({ field, from, to }, index) => (
          <Change key={`f${index}`} sign="~" what={<OutsideText text={field} />} tone="warn">
            <FromTo from={from} to={to} />
          </Change>
        ))}
      </ul>
      <Files title="New files" sign="+" paths={files.added} />
      <Files title="Changed files" sign="~" paths={files.changed} />
      <Files title="Files that are gone" sign="−" paths={files.removed} />
      <NextStep text={drift.next_step} />
    </section>
  );
}

type ChangeProps = { sign: string; what: ReactNode; tone: "bad" | "warn" | "ok"; children: ReactNode };

function Change({ sign, what, tone, children }: ChangeProps) {
  return (
    <li className={`change change-${tone}`}>
      <span className="change-sign" aria-hidden="true">
        {sign}
      </span>
      <span className="change-what">{what}</span>
      <span className="change-text">{children}</span>
    </li>
  );
}

function FromTo({ from, to }: { from: string; to: string }) {
  return (
    <>
      <Code text={from} /> <span aria-label="became">→</span> <Code text={to} />
    </>
  );
}

/** What was not there before, or is not there any more, is empty. */
function Code({ text }: { text: string }) {
  if (text === "") return <span className="muted">nothing</span>;
  return (
    <code>
      <OutsideText text={text} />
    </code>
  );
}

type FilesProps = { title: string; sign: string; paths: readonly string[] };

function Files({ title, sign, paths }: FilesProps) {
  if (paths.length === 0) return null;
  const { named, more } = readFiles(paths);
  return (
    <details className="files" open={paths.length <= 12}>
      <summary>
        {title} <span className="muted">{counted(named.length + more, "file")}</span>
      </summary>
      <ul>
        {named.map((path) => (
          <li key={path}>
            <span aria-hidden="true">{sign}</span> <Code text={path} />
          </li>
        ))}
        {more > 0 && <li className="muted">and {more.toLocaleString()} more</li>}
      </ul>
    </details>
  );
}
