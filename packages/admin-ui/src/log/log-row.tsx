import { Fragment, memo, type ReactNode } from "react";
import { visible } from "../ui/outside-text.tsx";
import { clockTime, fullTime } from "../ui/time.tsx";
import { ansiPieces } from "./ansi.ts";
import type { LogLine } from "./log-lines.ts";

export const LogRow = memo(function LogRow({ line, words }: { line: LogLine; words: string }) {
  return (
    <div className={`log-row log-${line.stream}`}>
      <time className="log-time" dateTime={line.at} title={fullTime(line.at)}>
        {clockTime(line.at)}
      </time>
      <span className="log-stream">{line.stream === "stdout" ? "" : line.stream === "stderr" ? "err" : "core"}</span>
      <bdi className="log-text">
        {ansiPieces(line.line).map(({ text, className }, index) => (
          <span key={index} className={className === "" ? undefined : className}>
            {marked(text, words)}
          </span>
        ))}
        {line.truncated === true && <span className="unseen"> cut here</span>}
      </bdi>
    </div>
  );
});

/** The searched words set apart. */
function marked(text: string, words: string): ReactNode {
  if (words === "") return visible(text);
  const wanted = new RegExp(`(${words.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")})`, "i");
  return text
    .split(wanted)
    .map((part, index) =>
      index % 2 === 1 ? <mark key={index}>{visible(part)}</mark> : <Fragment key={index}>{visible(part)}</Fragment>,
    );
}
