import type { PendingPermissionsJson } from "@opensentience/protocol";
import { Icon } from "../ui/icon.tsx";
import { OutsideText } from "../ui/outside-text.tsx";

/** What was approved or taken away since the start of the run that goes on: until its restart it is only on paper. */
export function PendingApproval({ pending: { removed, added } }: { pending: PendingPermissionsJson }) {
  return (
    <section className="notice notice-warn pending" aria-label="Approval pending">
      <Icon name="alert" />
      <div>
        <p>
          <strong>What you approved last takes hold when it is restarted.</strong> Its sandbox was made at its start.
        </p>
        {removed.length > 0 && <Permissions text="Until then it keeps" permissions={removed} />}
        {added.length > 0 && <Permissions text="Until then it lacks" permissions={added} />}
      </div>
    </section>
  );
}

function Permissions({ text, permissions }: { text: string; permissions: readonly string[] }) {
  return (
    <p>
      {text}{" "}
      {permissions.map((permission, index) => (
        <span key={permission}>
          {index > 0 && ", "}
          <code>
            <OutsideText text={permission} />
          </code>
        </span>
      ))}
    </p>
  );
}
