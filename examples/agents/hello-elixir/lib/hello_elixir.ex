defmodule HelloElixir do
  @moduledoc "The five reference tools."

  alias HelloElixir.Session

  @doc "Name, description, schema of the input, and what to do with an input and the call."
  def tools do
    [
      {"hello_world", "Greets whoever is named.", fields([], name: %{"type" => "string", "maxLength" => 200}),
       fn given, _call -> {:ok, %{"greeting" => "Hello, #{Map.get(given, "name", "world")}!"}} end},
      {"stream_counter", "Counts aloud, one piece per number.",
       fields(["to"], to: whole(1, 1_000_000), pause_ms: whole(0, 60_000)), &count/2},
      {"sleep", "Waits; can be canceled.", fields(["ms"], ms: whole(0, 3_600_000)), &sleep/2},
      {"invalid_input", "Takes anything and refuses it.", %{"type" => "object"},
       fn _given, _call -> {:error, "hello.refused", "this tool refuses every input"} end},
      {"large_output", "Answers with as many characters as asked for.",
       fields(["bytes"], bytes: whole(0, 16_000_000)),
       fn given, _call -> {:ok, %{"text" => String.duplicate("x", given["bytes"])}} end}
    ]
  end

  defp count(%{"to" => to} = given, call) do
    for number <- 1..to do
      Session.stream(call, number, "#{number}\n")
      Process.sleep(Map.get(given, "pause_ms", 0))
    end

    {:ok, %{"counted" => to}}
  end

  # A canceled call is ended from outside, as a process: nothing has to look whether it is.
  defp sleep(%{"ms" => ms}, _call) do
    Process.sleep(ms)
    {:ok, %{"slept_ms" => ms}}
  end

  defp fields(required, properties) do
    properties = Map.new(properties, fn {name, schema} -> {Atom.to_string(name), schema} end)
    %{"type" => "object", "properties" => properties, "required" => required, "additionalProperties" => false}
  end

  defp whole(least, most), do: %{"type" => "integer", "minimum" => least, "maximum" => most}
end
