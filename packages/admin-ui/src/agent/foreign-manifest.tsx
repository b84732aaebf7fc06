import { manifestNotice } from "@opensentience/protocol";
import { Icon } from "../ui/icon.tsx";
import type { Agent } from "./agent-screen.tsx";

/** What is read, and reviewed, is not what the installed commit has. */
export function ForeignManifest({ agent }: { agent: Agent }) {
  const notice = manifestNotice(agent);
  if (notice === null) return null;
  return (
    <p className="notice notice-bad">
      <Icon name="alert" />
      <span>{notice}.</span>
    </p>
  );
}
