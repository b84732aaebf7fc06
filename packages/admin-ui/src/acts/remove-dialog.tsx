import { useState } from "react";
import { call } from "../api/client.ts";
import { Check } from "../ui/field.tsx";
import { ActDialog } from "./act-dialog.tsx";
import { type ActProps, isInPlace, useAfterAct } from "./agent-act.ts";

const REMOVED = {
  agent: "Removed what was installed of",
  data: "Removed the kept data of",
  entry: "Forgot",
} as const;

export function RemoveDialog({ agent, onClose }: ActProps) {
  const after = useAfterAct();
  const [isKept, setKept] = useState(false);
  return (
    <ActDialog
      title={`Remove ${agent.agent_id}`}
      lead={
        <p>
          {isInPlace(agent)
            ? "Leaves its folder as it is, takes it off the list of what is installed"
            : "Takes its installed files away"}
          {isKept ? "" : ", deletes its own data"} and revokes its approval. What the audit log holds of it stays.
        </p>
      }
      confirm="Remove"
      kind="danger"
      perform={(_, signal) =>
        call("remove_agent", { params: { agent_id: agent.agent_id }, body: { keep_data: isKept } }, signal)
      }
      done={(removed) => {
        after(removed);
        return `${REMOVED[removed.removed]} ${agent.agent_id}`;
      }}
      onClose={onClose}
    >
      <Check
        label="Keep its own data"
        hint="The folder in which the agent itself stores files, for a later install."
        checked={isKept}
        onChange={setKept}
      />
    </ActDialog>
  );
}
