defmodule TextIndex do
  @moduledoc """
  A word index of a folder: which word stands how often in which file.

  Files are read one at a time, and only again when their size or time changed, so that a round over an unchanged
  folder reads nothing but names.
  """

  @endings ~w(.txt .md .org .rst)
  @max_file_bytes 5_000_000
  @skipped_folders ~w(.git node_modules _build deps)

  defstruct files: %{}

  @type t :: %__MODULE__{files: %{Path.t() => %{stamp: term(), counts: %{String.t() => pos_integer()}}}}

  @doc "Brings the index up to date with the folder; also answers how many files were read anew."
  @spec refresh(t(), Path.t()) :: {t(), non_neg_integer()}
  def refresh(%__MODULE__{files: known}, folder) do
    {files, read} =
      folder
      |> text_files()
      |> Enum.reduce({%{}, 0}, fn {path, stamp}, {files, read} ->
        case known do
          %{^path => %{stamp: ^stamp} = entry} -> {Map.put(files, path, entry), read}
          _ -> add_file(files, read, path, stamp)
        end
      end)

    {%__MODULE__{files: files}, read}
  end

  @doc "`{word, times, files}` of every word, the most frequent first."
  @spec words(t()) :: [{String.t(), pos_integer(), pos_integer()}]
  def words(%__MODULE__{files: files}) do
    files
    |> Enum.flat_map(fn {_path, %{counts: counts}} -> Map.to_list(counts) end)
    |> Enum.group_by(&elem(&1, 0), &elem(&1, 1))
    |> Enum.map(fn {word, counts} -> {word, Enum.sum(counts), length(counts)} end)
    |> Enum.sort_by(fn {word, times, _files} -> {-times, word} end)
  end

  defp add_file(files, read, path, stamp) do
    case File.read(path) do
      {:ok, text} -> {Map.put(files, path, %{stamp: stamp, counts: count(text)}), read + 1}
      {:error, _gone_or_not_ours} -> {files, read}
    end
  end

  defp count(text) do
    if String.valid?(text) do
      text |> String.downcase() |> String.split(~r/[^\p{L}\p{N}']+/u, trim: true) |> Enum.frequencies()
    else
      %{}
    end
  end

  # Links are not followed: lstat sees the link itself, which is neither a folder nor a file.
  defp text_files(folder) do
    case File.ls(folder) do
      {:ok, names} -> names |> Enum.sort() |> Enum.flat_map(&entry(folder, &1))
      {:error, _reason} -> []
    end
  end

  defp entry(folder, name) do
    path = Path.join(folder, name)

    case File.lstat(path) do
      {:ok, %{type: :directory}} when name not in @skipped_folders ->
        text_files(path)

      {:ok, %{type: :regular, size: size, mtime: mtime}} when size <= @max_file_bytes ->
        text_file(path, {size, mtime})

      _ ->
        []
    end
  end

  defp text_file(path, stamp), do: if(Path.extname(path) in @endings, do: [{path, stamp}], else: [])
end
