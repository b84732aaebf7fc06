defmodule Mix.Tasks.Hello.Tools do
  @shortdoc "Offers the five reference tools until Core says goodbye"
  @moduledoc @shortdoc
  use Mix.Task

  @impl Mix.Task
  def run(_argv), do: System.halt(HelloElixir.Session.run("1.0.0", HelloElixir.tools()))
end
