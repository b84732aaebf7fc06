import { Dialog } from "@base-ui/react/dialog";
import type { ReactNode } from "react";
import { Button } from "../ui/button.tsx";

type Props = { title: ReactNode; lead: ReactNode; onClose: () => void; children: ReactNode };

/** What an act found or did, to be read for longer than a passing word. */
export function ReportDialog({ title, lead, onClose, children }: Props) {
  return (
    <Dialog.Root open onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">{title}</Dialog.Title>
          <Dialog.Description className="dialog-lead">{lead}</Dialog.Description>
          <div className="dialog-body">{children}</div>
          <div className="dialog-buttons">
            <Button kind="primary" onClick={onClose}>
              Close
            </Button>
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
