import type { VerifyJson } from "@opensentience/protocol";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icon.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { counted, fullTime } from "../ui/time.tsx";

const TITLES: Record<VerifyJson["status"], string> = {
  intact: "The log is intact",
  tampered: "The log was changed",
  truncated: "The log was cut",
  unreadable: "The log cannot be read",
};

export function VerifyResult({ result, onClose }: { result: VerifyJson; onClose: () => void }) {
  const isIntact = result.status === "intact";
  return (
    <div className={isIntact ? "notice notice-ok verify" : "notice notice-bad verify"}>
      <Icon name={isIntact ? "check" : "alert"} size={18} />
      <div>
        <p>
          <strong>{TITLES[result.status]}.</strong> <OutsideText text={result.message} />
        </p>
        <p className="muted small">
          {counted(result.events, "event")} looked at
          {result.first_bad_seq !== null && `, the first bad one is no. ${result.first_bad_seq}`}
          {result.checkpoint !== null &&
            `; newest checkpoint at ${counted(result.checkpoint.size, "event")}, ${fullTime(result.checkpoint.at)}, ${result.checkpoint.valid ? "valid" : "not valid"}`}
        </p>
      </div>
      <Button kind="quiet" small icon="cross" aria-label="Close the result" onClick={onClose} />
    </div>
  );
}
