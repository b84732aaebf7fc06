import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { toolQuery } from "../api/queries.ts";
import type { ResponseOf } from "../api/routes.ts";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/empty-note.tsx";
import { Icon } from "../ui/icon.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { InputForm } from "./input-form.tsx";
import { JsonInput } from "./json-input.tsx";
import { ToolOutput } from "./tool-output.tsx";
import { useToolCall } from "./use-tool-call.ts";

type Tool = ResponseOf<"get_tool">;
type Input = Record<string, unknown>;

/** One tool: its input as a form or as JSON, its output as it comes. Core checks the input, not the page. */
export function ToolConsole({ agentId, toolName }: { agentId: string; toolName: string }) {
  const tool = useQuery(toolQuery(agentId, toolName));
  if (tool.isPending) return <Skeleton rows={4} label="Loading the tool" />;
  if (tool.isError) return <ProblemBox problem={tool.error} onRetry={() => void tool.refetch()} />;
  return <Console key={JSON.stringify(tool.data.input_schema)} tool={tool.data} />;
}

function Console({ tool }: { tool: Tool }) {
  const [input, setInput] = useState<Input>({});
  const [asJson, setAsJson] = useState(false);
  const [isValidJson, setValidJson] = useState(true);
  const { state, start, cancel } = useToolCall(tool.agent_id, tool.name);
  const isRunning = state.at === "running";
  return (
    <div className="stack console">
      <section className="card">
        <div className="card-head">
          <h2>
            <OutsideText text={tool.name} />
          </h2>
          <Button small kind="quiet" aria-pressed={asJson} onClick={() => setAsJson(!asJson)}>
            {asJson ? "As a form" : "As JSON"}
          </Button>
        </div>
        <p className="muted">
          <OutsideText text={tool.description} lines />
        </p>
        {asJson ? (
          <JsonInput value={input} onChange={setInput} onValid={setValidJson} />
        ) : (
          <InputForm schema={tool.input_schema} value={input} onChange={setInput} />
        )}
        <p className="third-party third-party-small">
          <Icon name="alert" />
          <span>Calling a tool executes third-party code, with what you approved for this agent.</span>
        </p>
        <div className="row-buttons">
          <Button
            kind="primary"
            icon="play"
            busy={isRunning}
            disabled={asJson && !isValidJson}
            onClick={() => void start(input)}
          >
            Call
          </Button>
          {isRunning && (
            <Button icon="stop" onClick={cancel}>
              Cancel the call
            </Button>
          )}
        </div>
      </section>
      <ToolOutput state={state} />
      <details className="card">
        <summary>Schemas</summary>
        <pre className="block" tabIndex={0} aria-label="Schemas as JSON">
          <OutsideText text={JSON.stringify({ input: tool.input_schema, output: tool.output_schema }, null, 2)} lines />
        </pre>
      </details>
    </div>
  );
}
