import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { toolQuery } from "../api/queries.ts";
import type { ResponseOf } from "../api/routes.ts";
import { Button } from "../ui/button.tsx";
import { Skeleton } from "../ui/empty-note.tsx";
import { Icon } from "../ui/icon.tsx";
import { OutsideText } from "../ui/outside-text.tsx";
import { ProblemBox } from "../ui/problem-box.tsx";
import { withAlternatives } from "./alternative-errors.ts";
import { presetInput } from "./default-value.ts";
import { formSchema, isForm } from "./form-schema.ts";
import { inputErrors } from "./input-errors.ts";
import { InputForm } from "./input-form.tsx";
import { JsonInput } from "./json-input.tsx";
import { type Input, useToolCall } from "./tool-calls.ts";
import { ToolOutput } from "./tool-output.tsx";

type Tool = ResponseOf<"get_tool">;

/** One tool: its input as a form or as JSON, its output as it comes. Core checks the input, not the page. */
export function ToolConsole({ agentId, toolName }: { agentId: string; toolName: string }) {
  const tool = useQuery(toolQuery(agentId, toolName));
  if (tool.isPending) return <Skeleton rows={4} label="Loading the tool" />;
  if (tool.isError) return <ProblemBox problem={tool.error} onRetry={() => void tool.refetch()} />;
  return <Console key={JSON.stringify(tool.data.input_schema)} tool={tool.data} />;
}

function Console({ tool }: { tool: Tool }) {
  const { call, state } = useToolCall(tool.agent_id, tool.name);
  const schema = useMemo(() => formSchema(tool.input_schema), [tool.input_schema]);
  // A form begins with the defaults by itself.
  const [input, setInput] = useState<Input>(() => call.input ?? (isForm(schema) ? {} : presetInput(tool.input_schema)));
  const [isAsked, setAsked] = useState(false);
  const [isValid, setValid] = useState(true);
  const asJson = isAsked || !isForm(schema);
  const isRunning = state.at === "running";
  const problem = state.at === "failed" ? state.problem : undefined;
  const [called, setCalled] = useState<Input>(input);
  const errors = useMemo(() => withAlternatives(inputErrors(problem), schema, called), [problem, schema, called]);
  const change = (next: Input): void => {
    call.input = next;
    setInput(next);
  };
  return (
    <div className="stack console">
      <section className="card">
        <div className="card-head">
          <h2 className="tool-title">
            <OutsideText text={tool.name} />
          </h2>
          {isForm(schema) && (
            <Button
              small
              kind="quiet"
              aria-pressed={asJson}
              onClick={() => {
                setAsked(!asJson);
                setValid(true);
              }}
            >
              {asJson ? "As a form" : "As JSON"}
            </Button>
          )}
        </div>
        <p className="muted">
          <OutsideText text={tool.description} lines />
        </p>
        {!isForm(schema) && <p className="hint">No form can be made of its schema; write the input as JSON.</p>}
        {asJson ? (
          <JsonInput value={input} errors={errors} onChange={change} onValid={setValid} />
        ) : (
          <InputForm schema={schema} value={input} errors={errors} onChange={change} onValid={setValid} />
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
            disabled={!isValid}
            onClick={() => {
              if (!isValid) return;
              setCalled(input);
              void call.start(input);
            }}
          >
            Call
          </Button>
          {isRunning && (
            <Button icon="stop" onClick={call.cancel}>
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

/** Of a tool that is offered no more: what its last call gave. */
export function KeptOutput({ agentId, toolName }: { agentId: string; toolName: string }) {
  const { call, state } = useToolCall(agentId, toolName);
  return (
    <div className="stack console">
      <section className="card">
        <h2 className="tool-title">
          <OutsideText text={toolName} />
        </h2>
        <p className="muted">
          The agent does not offer this tool at the moment; what your last call of it gave is kept.
        </p>
        {state.at === "running" && (
          <Button icon="stop" onClick={call.cancel}>
            Cancel the call
          </Button>
        )}
      </section>
      <ToolOutput state={state} />
    </div>
  );
}
