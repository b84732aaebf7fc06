defmodule Mix.Tasks.Text.Index do
  @shortdoc "Indexes a folder of text files until it is told to stop"
  @moduledoc """
  Indexes the text files below a folder, again and again until SIGTERM.

      mix text.index [FOLDER] [--every SECONDS]

  Every round prints one line and writes `index.tsv` (word, times, files) into the data folder, HOME.
  """

  use Mix.Task

  @impl Mix.Task
  def run(argv) do
    IO.puts("text-index started as #{System.get_env("OPENSENTIENCE_AGENT_ID", "a plain program")}")
    {options, rest} = OptionParser.parse!(argv, strict: [every: :float])
    folder = Path.expand(List.first(rest) || "sample")
    every_ms = round(Keyword.get(options, :every, 5.0) * 1000)
    if every_ms <= 0, do: Mix.raise("--every needs a number of seconds above 0")

    indexer = self()

    {:ok, _id} =
      System.trap_signal(:sigterm, fn ->
        send(indexer, :stop)
        :ok
      end)

    IO.puts("indexing #{folder}")
    index_until_stopped(%TextIndex{}, folder, every_ms, 1)
    IO.puts("stopped cleanly")
  end

  defp index_until_stopped(index, folder, every_ms, round) do
    # A folder that was not approved, or is gone for now, is told and tried again.
    with {:error, reason} <- File.ls(folder), do: IO.puts(:stderr, "#{folder}: #{:file.format_error(reason)}")
    {index, read} = TextIndex.refresh(index, folder)
    words = TextIndex.words(index)
    write_index(words)

    IO.puts(
      "round #{round}: #{map_size(index.files)} files, #{read} read, #{length(words)} words#{most_frequent(words)}"
    )

    receive do
      :stop -> :ok
    after
      every_ms -> index_until_stopped(index, folder, every_ms, round + 1)
    end
  end

  defp most_frequent([]), do: ""
  defp most_frequent([{word, times, _files} | _]), do: ", most often \"#{word}\" (#{times})"

  # Whole or not at all: a reader never sees half an index.
  defp write_index(words) do
    path = Path.join(System.user_home!(), "index.tsv")

    File.write!(
      path <> ".new",
      Enum.map(words, fn {word, times, files} -> "#{word}\t#{times}\t#{files}\n" end)
    )

    File.rename!(path <> ".new", path)
  end
end
