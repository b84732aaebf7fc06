import { CopyButton } from "../ui/copy-button.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { counted } from "../ui/time.tsx";
import type { Agent } from "./agent-screen.tsx";

/** What Core read from the manifest, as it goes into the review. */
export function ManifestTab({ agent }: { agent: Agent }) {
  const { agent_id: id, name, version, description, entrypoint, capabilities, keywords } = agent;
  const permissions = agent.requested_permissions.map(({ permission }) => permission);
  const shown = { id, name, version, description, entrypoint, permissions, capabilities, keywords };
  return (
    <div className="stack">
      <section className="card">
        <h2>File</h2>
        <dl className="facts">
          <dt>Path</dt>
          <dd>
            <code>
              <OutsideText text={agent.manifest_path ?? "–"} />
            </code>
          </dd>
          <dt>SHA-256</dt>
          <dd>
            <code>{agent.manifest_hash ?? "–"}</code>
            {agent.manifest_hash !== null && <CopyButton text={agent.manifest_hash} label="Copy the hash" />}
          </dd>
        </dl>
      </section>
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
      <section className="card">
        <h2>What it says</h2>
        <pre className="block" tabIndex={0} aria-label="Manifest as JSON">
          <OutsideText text={JSON.stringify(shown, null, 2)} lines />
        </pre>
      </section>
    </div>
  );
}
