/**
 * The dialog of every act that needs a second press: what will happen, then what happens, then how it ended. While the
 * act runs its steps are read out; leaving the dialog cancels the act, as the end of a command does.
 */
import { Dialog } from "@base-ui/react/dialog";
import { type ReactNode, useEffect, useRef, useState } from "react";
import type { Progress } from "../api/client.ts";
import { announce } from "../shell/announcer.tsx";
import { Breakable } from "../ui/breakable.tsx";
import { Button, type ButtonKind } from "../ui/button.tsx";
import { Icon, type IconName } from "../ui/icon.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { withStep } from "./progress-steps.ts";

export type Act<R> = {
  title: string;
  /** One or two sentences: what the act does. */
  lead: ReactNode;
  /** The act executes code of others: the dialog says so. */
  thirdParty?: boolean;
  confirm: string;
  icon?: IconName;
  kind?: ButtonKind;
  canConfirm?: boolean;
  perform: (onProgress: (progress: Progress) => void, signal: AbortSignal) => Promise<R>;
  /** What is said when it went well; null where what is shown next says it. */
  done: (result: R) => string | null;
  onClose: () => void;
  /** The dialog is not over when the act is: its caller shows what came of it. */
  keepOpen?: (result: R) => boolean;
  children?: ReactNode;
};

type Phase = { at: "asking" } | { at: "acting" } | { at: "failed"; problem: unknown };

export function ActDialog<R>(act: Act<R>) {
  const [phase, setPhase] = useState<Phase>({ at: "asking" });
  const [steps, setSteps] = useState<readonly Progress[]>([]);
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const confirm = async (): Promise<void> => {
    const abort = (running.current = new AbortController());
    setSteps([]);
    setPhase({ at: "acting" });
    try {
      const result = await act.perform((step) => setSteps((before) => withStep(before, step)), abort.signal);
      const said = act.done(result);
      if (said !== null) announce(said);
      if (act.keepOpen?.(result) !== true) act.onClose();
    } catch (problem) {
      if (!abort.signal.aborted) setPhase({ at: "failed", problem });
    }
  };
  const isActing = phase.at === "acting";
  return (
    <Dialog.Root open disablePointerDismissal onOpenChange={(isOpen) => !isOpen && act.onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog" role={act.thirdParty === true ? "alertdialog" : "dialog"}>
          <Dialog.Title className="dialog-title">
            <Breakable text={act.title} />
          </Dialog.Title>
          <Dialog.Description render={<div />} className="dialog-lead">
            {act.thirdParty === true && <ThirdParty />}
            {act.lead}
          </Dialog.Description>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (!isActing && act.canConfirm !== false) void confirm();
            }}
          >
            <fieldset className="dialog-body" disabled={isActing}>
              {act.children}
            </fieldset>
            {(isActing || steps.length > 0) && <Steps steps={steps} isActing={isActing} />}
            {phase.at === "failed" && (
              <div ref={intoView}>
                <ProblemBox problem={phase.problem} />
              </div>
            )}
            <div className="dialog-buttons">
              <Button onClick={act.onClose}>{isActing ? "Cancel the act" : "Close"}</Button>
              <Button
                type="submit"
                kind={act.kind ?? "primary"}
                busy={isActing}
                disabled={act.canConfirm === false}
                {...(act.icon === undefined ? {} : { icon: act.icon })}
              >
                {phase.at === "failed" ? "Try again" : act.confirm}
              </Button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** How it ended must be seen, also where the dialog is longer than the screen. */
function intoView(box: HTMLElement | null): void {
  box?.scrollIntoView({ block: "nearest" });
}

function ThirdParty() {
  return (
    <p className="third-party">
      <Icon name="alert" size={18} />
      <span>
        <strong>This executes third-party code</strong> on your machine, as your user.
      </span>
    </p>
  );
}

/** The newest step last; the list keeps its end in view. */
function Steps({ steps, isActing }: { steps: readonly Progress[]; isActing: boolean }) {
  const end = useRef<HTMLLIElement>(null);
  useEffect(() => {
    // Newer browsers answer with a promise, which is no clean-up of an effect.
    end.current?.scrollIntoView({ block: "nearest" });
  }, [steps]);
  return (
    <ol className="steps" role="log" aria-label="Progress" tabIndex={0}>
      {steps.map((step, index) => (
        <li key={index} ref={index === steps.length - 1 ? end : null}>
          <span className="steps-phase">
            <OutsideText text={step.phase} />
          </span>
          <span className="steps-text">
            <OutsideText text={step.text} />
          </span>
        </li>
      ))}
      {isActing && steps.length === 0 && <li className="muted">Working…</li>}
    </ol>
  );
}
