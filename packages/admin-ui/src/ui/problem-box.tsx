import { toProblem } from "../api/problem.ts";
import { Button } from "./button.tsx";
import { CopyButton } from "./copy-button.tsx";
import { Icon } from "./icon.tsx";
import { OutsideText } from "./outside-text.tsx";

/** A failure in full: what happened, the code to look it up by, and what to do next. `onRetry` offers another try. */
export function ProblemBox({ problem: thrown, onRetry }: { problem: unknown; onRetry?: () => void }) {
  const problem = toProblem(thrown);
  const details = Object.entries(problem.details);
  return (
    <div className="problem" role="alert">
      <Icon name="alert" size={18} />
      <div className="problem-text">
        <p className="problem-sentence">
          <OutsideText text={problem.message} lines />
        </p>
        {problem.shownCode !== undefined && (
          <p className="problem-code">
            <code>{problem.shownCode}</code>
          </p>
        )}
        {problem.nextStep !== null && <NextStep text={problem.nextStep} />}
        {details.length > 0 && (
          <details>
            <summary>Details</summary>
            <pre className="block">
              <OutsideText text={JSON.stringify(problem.details, null, 2)} lines />
            </pre>
          </details>
        )}
        {onRetry !== undefined && (
          <Button small icon="restart" onClick={onRetry}>
            Try again
          </Button>
        )}
      </div>
    </div>
  );
}

/** What moves the reader on: mostly a command, to copy. */
export function NextStep({ text }: { text: string }) {
  const isCommand = /^(opensentience|sudo|kill|ls|mv|apt-get|export)\b/.test(text);
  if (!isCommand)
    return (
      <p>
        <span className="muted">Next:</span> <OutsideText text={text} />
      </p>
    );
  return (
    <p className="next-step">
      <span className="muted">Next:</span>
      <span className="next-command">
        <code>
          <OutsideText text={text} />
        </code>
        <CopyButton text={text} label="Copy the command" />
      </span>
    </p>
  );
}
