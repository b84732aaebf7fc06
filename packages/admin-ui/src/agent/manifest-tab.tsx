import { useQuery } from "@tanstack/react-query";
import { manifestQuery } from "../api/queries.ts";
import { Breakable } from "../ui/breakable.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import { Skeleton } from "../ui/empty-note.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { counted } from "../ui/time.tsx";
import type { Agent } from "./agent-screen.tsx";
import { ForeignManifest } from "./foreign-manifest.tsx";

/** The file itself, and beside it what Core read in it: what is reviewed and approved. */
export function ManifestTab({ agent }: { agent: Agent }) {
  const { agent_id: id, name, version, description, entrypoint, capabilities, keywords } = agent;
  const permissions = agent.requested_permissions.map(({ permission }) => permission);
  const shown = { id, name, version, description, entrypoint, permissions, capabilities, keywords };
  return (
    <div className="stack">
      <ForeignManifest agent={agent} />
      {agent.unknown_fields.length > 0 && (
        <div className="notice notice-warn">
          <span>
            Core does not know {counted(agent.unknown_fields.length, "field")} of it and does nothing with them:{" "}
            <code>
              <OutsideText text={agent.unknown_fields.join(", ")} />
            </code>
          </span>
        </div>
      )}
      <div className="manifest">
        <ManifestFile agent={agent} />
        <section className="card">
          <h2>What Core reads in it</h2>
          <pre className="block" tabIndex={0} aria-label="What Core reads in it, as JSON">
            <OutsideText text={JSON.stringify(shown, null, 2)} lines />
          </pre>
        </section>
      </div>
    </div>
  );
}

function ManifestFile({ agent }: { agent: Agent }) {
  const file = useQuery(manifestQuery(agent.agent_id));
  return (
    <section className="card">
      <h2>The file</h2>
      {file.isPending && <Skeleton rows={6} label="Reading the file" />}
      {file.isError && <ProblemBox problem={file.error} onRetry={() => void file.refetch()} />}
      {file.data !== undefined && (
        <>
          <dl className="facts">
            <dt>Path</dt>
            <dd>
              <code>
                <Breakable text={file.data.path} />
              </code>
            </dd>
            <dt>SHA-256</dt>
            <dd>
              <code className="hash">
                <Breakable text={file.data.sha256} />
              </code>
              <CopyButton text={file.data.sha256} label="Copy the hash" />
            </dd>
          </dl>
          {agent.manifest_hash !== null && agent.manifest_hash !== file.data.sha256 && (
            <p className="notice notice-warn">
              <span>The file is another one than Core last read: a scan, a review or a start will read it anew.</span>
            </p>
          )}
          <pre className="block manifest-text" tabIndex={0} aria-label="The manifest as it stands on disk">
            <OutsideText text={file.data.text} lines />
          </pre>
        </>
      )}
    </section>
  );
}
