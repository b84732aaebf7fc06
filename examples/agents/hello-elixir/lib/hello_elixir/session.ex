defmodule HelloElixir.Session do
  @moduledoc """
  The agent's side of the OpenSentience runtime protocol, version 1.

  One process owns the session: it reads every message and sends every result, so that a call has exactly one. Each call is a
  process of its own, which streams by itself and is killed when the call is canceled. The frames (four bytes of length, big
  end first) are what `packet: 4` of `:gen_tcp` reads and writes. When the connection is gone `run/2` is over: there is no reconnect.
  """

  alias HelloElixir.Json

  @max_frame_bytes 4_194_304
  @max_output_bytes 3 * 1024 * 1024
  @echoed ["request_id", "correlation_id", "causation_id"]

  defstruct [:socket, :agent_id, :tools, :session_id, :interval_ms, calls: %{}]

  @doc "Shakes hands, offers the tools and answers calls; gives the exit status when the session is over."
  def run(version, tools) do
    path = System.fetch_env!("OPENSENTIENCE_SOCKET_PATH")
    options = [:binary, packet: 4, packet_size: @max_frame_bytes, active: :once]

    case :gen_tcp.connect({:local, path}, 0, options) do
      {:ok, socket} ->
        state = %__MODULE__{
          socket: socket,
          agent_id: System.fetch_env!("OPENSENTIENCE_AGENT_ID"),
          tools: tools
        }

        hello(state, version)
        loop(state)

      {:error, reason} ->
        leave(1, "cannot connect: #{:inet.format_error(reason)}")
    end
  end

  @doc "Sends a piece of output of the call that the calling process works on."
  def stream({socket, message}, seq, text) do
    data = %{"text" => text}

    payload = %{
      "call_id" => message["payload"]["call_id"],
      "seq" => seq,
      "channel" => "stdout",
      "data" => data
    }

    send_message(socket, "agent.tool.stream", payload, Map.take(message, @echoed))
  end

  defp hello(state, version) do
    send_message(state.socket, "agent.hello", %{
      "session_token" => System.fetch_env!("OPENSENTIENCE_SESSION_TOKEN"),
      "agent_id" => state.agent_id,
      "agent_version" => version,
      "protocol" => %{"supported_versions" => [1], "capabilities" => ["tools", "streaming", "cancellation"]}
    })
  end

  defp loop(%{socket: socket} = state) do
    receive do
      {:tcp, ^socket, body} ->
        case Json.decode(body) do
          {:ok, %{"type" => type} = message} -> continue(handle(type, message, state))
          _ -> leave(1, "Core sent what is no message")
        end

      {:tcp_closed, ^socket} ->
        leave(1, "Core closed the connection")

      {:tcp_error, ^socket, reason} ->
        leave(1, "the connection broke: #{inspect(reason)}")

      :beat ->
        loop(beat(state))

      {:done, call_id, outcome} ->
        loop(finish(state, call_id, outcome))

      {:DOWN, _monitor, :process, pid, reason} ->
        loop(ended(state, pid, reason))
    end
  end

  defp continue({:leave, status, why}), do: leave(status, why)

  defp continue(state) do
    :inet.setopts(state.socket, active: :once)
    loop(state)
  end

  defp handle("core.welcome", %{"error" => error}, _state),
    do: {:leave, 1, "not welcome: #{error["message"]}"}

  defp handle("core.welcome", %{"payload" => welcome}, state) do
    definitions =
      for {name, description, schema, _run} <- state.tools do
        %{
          "tool_id" => "#{state.agent_id}/#{name}",
          "name" => name,
          "description" => description,
          "input_schema" => schema
        }
      end

    send_message(state.socket, "agent.tools.register", %{"tools" => definitions})
    beat(%{state | session_id: welcome["session_id"], interval_ms: welcome["heartbeat_interval_ms"]})
  end

  defp handle("core.tools.registered", %{"payload" => payload}, state) do
    for rejected <- Map.get(payload, "rejected", []) do
      complain("#{rejected["tool_id"]} was rejected: #{rejected["error"]["message"]}")
    end

    state
  end

  defp handle("core.tool.call", message, state), do: begin_call(state, message)
  defp handle("core.tool.cancel", message, state), do: cancel(state, message)

  defp handle("core.ping", message, state) do
    send_message(state.socket, "agent.pong", %{}, %{"in_reply_to" => message["id"]})
    state
  end

  defp handle("core.error", message, state) do
    complain("Core could not take a message: #{message["error"]["message"]}")
    state
  end

  defp handle("core.goodbye", message, _state), do: {:leave, 0, "goodbye: #{message["payload"]["reason"]}"}
  defp handle(_from_a_newer_core, %{"in_reply_to" => _}, state), do: state

  defp handle(_from_a_newer_core, message, state) do
    error = %{"code" => "protocol.unknown_type", "message" => "the type of the message is not known"}
    send_message(state.socket, "agent.error", %{}, %{"in_reply_to" => message["id"], "error" => error})
    state
  end

  defp begin_call(state, %{"payload" => payload} = message) do
    owner = self()
    call = {state.socket, message}
    work = fn -> send(owner, {:done, payload["call_id"], outcome(state, payload, call)}) end
    {pid, _monitor} = spawn_monitor(work)
    %{state | calls: Map.put(state.calls, payload["call_id"], %{pid: pid, message: message, canceled: false})}
  end

  defp outcome(state, payload, call) do
    tool = Enum.find(state.tools, fn {name, _, _, _} -> payload["tool_id"] == "#{state.agent_id}/#{name}" end)

    case tool && elem(tool, 3).(payload["input"], call) do
      nil -> failed("tool.not_found", "this agent has no such tool")
      {:error, code, message} -> failed(code, message)
      {:ok, output} -> succeeded(output)
    end
  end

  defp succeeded(output) do
    if output |> Json.encode() |> IO.iodata_length() > @max_output_bytes,
      do: failed("tool.output_too_large", "the output is over #{@max_output_bytes} bytes"),
      else: %{"status" => "succeeded", "output" => output}
  end

  defp failed(code, message), do: %{"status" => "failed", "error" => %{"code" => code, "message" => message}}

  # The call is gone from the list with its result: a cancel that comes later is too late.
  defp finish(state, call_id, outcome) do
    case Map.pop(state.calls, call_id) do
      {nil, _calls} ->
        state

      {%{message: message}, calls} ->
        envelope = message |> Map.take(@echoed) |> Map.put("in_reply_to", message["id"])
        send_message(state.socket, "agent.tool.result", Map.put(outcome, "call_id", call_id), envelope)
        %{state | calls: calls}
    end
  end

  # A call's process is gone. If its result is not sent yet it was killed, or it crashed.
  defp ended(state, pid, reason) do
    case Enum.find(state.calls, fn {_id, call} -> call.pid == pid end) do
      nil ->
        state

      {call_id, %{canceled: true}} ->
        finish(state, call_id, %{"status" => "canceled"})

      {call_id, _crashed} ->
        complain("a call crashed: #{inspect(reason)}")
        finish(state, call_id, failed("tool.failed", "the tool failed; the agent's log says why"))
    end
  end

  defp cancel(state, %{"payload" => %{"call_id" => call_id}} = message) do
    call = state.calls[call_id]
    payload = %{"call_id" => call_id, "accepted" => call != nil}
    send_message(state.socket, "agent.tool.cancel_ack", payload, %{"in_reply_to" => message["id"]})

    if call == nil do
      state
    else
      # Its result is sent when it is gone, so that nothing of its stream comes behind it.
      Process.exit(call.pid, :kill)
      put_in(state.calls[call_id].canceled, true)
    end
  end

  defp beat(state) do
    {uptime_ms, _since_last} = :erlang.statistics(:wall_clock)

    send_message(state.socket, "agent.heartbeat", %{
      "session_id" => state.session_id,
      "uptime_ms" => uptime_ms,
      "inflight_calls" => map_size(state.calls),
      "status" => "ok"
    })

    Process.send_after(self(), :beat, state.interval_ms)
    state
  end

  # From any process: the runtime writes each frame whole. A lost connection is the reader's to notice.
  defp send_message(socket, type, payload, envelope \\ %{}) do
    message =
      Map.merge(envelope, %{
        "v" => 1,
        "type" => type,
        "id" => "e-#{:erlang.unique_integer([:positive])}",
        "ts" => DateTime.to_iso8601(DateTime.utc_now()),
        "payload" => payload
      })

    :gen_tcp.send(socket, Json.encode(message))
  end

  defp complain(text), do: IO.puts(:stderr, text)

  defp leave(status, why) do
    complain(why)
    status
  end
end
