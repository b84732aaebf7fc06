import { useState } from "react";
import { callWithProgress } from "../api/client.ts";
import type { RequestOf } from "../api/routes.ts";
import { agentPath, goTo } from "../shell/hash-location.ts";
import { Check, Choice, TextField } from "../ui/field.tsx";
import { ActDialog } from "./act-dialog.tsx";
import { type ActAgent, isLocal, useAfterAct } from "./agent-act.ts";

type Kind = "git" | "folder";
const KINDS: [Kind, string][] = [
  ["git", "From a git repository"],
  ["folder", "A folder of mine, run in place"],
];

/** Installs a known agent again, or one by its address. `agent` absent: somebody brings a new one. */
export function InstallDialog({ agent, onClose }: { agent?: ActAgent; onClose: () => void }) {
  const after = useAfterAct();
  const devPath = / --dev (.+)$/.exec(agent?.next_step ?? "")?.[1] ?? "";
  const [kind, setKind] = useState<Kind>(devPath === "" ? "git" : "folder");
  const [address, setAddress] = useState(agent?.source_git_url ?? "");
  const [folder, setFolder] = useState(devPath);
  const [ref, setRef] = useState(agent?.source_ref ?? "");
  const [isAllowed, setAllowed] = useState(isLocal(agent?.source_git_url ?? null));
  const isKnown = agent !== undefined && address === agent.source_git_url;
  const body: RequestOf<"install_agent">["body"] =
    kind === "folder"
      ? { dev_path: folder }
      : {
          ...(agent === undefined ? {} : { agent_id: agent.agent_id }),
          ...(isKnown ? {} : { git_url: address }),
          ...(ref === "" ? {} : { ref }),
          ...(isAllowed ? { allow_local: true } : {}),
        };
  return (
    <ActDialog
      title={agent === undefined ? "Install an agent" : `Install ${agent.agent_id}`}
      lead={
        kind === "git" ? (
          <p>Fetches one commit onto this machine. Nothing of it runs.</p>
        ) : (
          <p>Takes the folder as it is, for agents that you write yourself. Nothing of it runs.</p>
        )
      }
      confirm="Install"
      icon="download"
      canConfirm={(kind === "git" ? address : folder).trim() !== ""}
      perform={(onProgress, signal) => callWithProgress("install_agent", { body }, onProgress, signal)}
      done={(installed) => {
        after(installed);
        goTo(agentPath(installed.agent_id));
        return `Installed ${installed.agent_id} ${installed.version}`;
      }}
      onClose={onClose}
    >
      <Choice label="Source" value={kind} onChange={setKind} options={KINDS} />
      {kind === "folder" ? (
        <TextField
          label="Folder"
          hint="The whole path of the folder that holds its manifest."
          value={folder}
          onChange={setFolder}
          code
        />
      ) : (
        <>
          <TextField label="Address" hint="https://HOST/PATH.git" value={address} onChange={setAddress} code />
          <TextField
            label="Branch, tag or commit"
            hint="Empty: the repository’s own choice."
            value={ref}
            onChange={setRef}
            code
          />
          <Check
            label="The repository is on this machine"
            hint="Allows a path instead of an address."
            checked={isAllowed}
            onChange={setAllowed}
          />
        </>
      )}
    </ActDialog>
  );
}
