defmodule HelloElixir.Json do
  @moduledoc """
  Just enough JSON: maps with text keys, lists, texts, numbers, true, false and nil.

  A lone surrogate cannot stand in an Elixir text and becomes U+FFFD. Whatever is no JSON is `:error`.
  """

  @max_depth 64

  @spec decode(binary()) :: {:ok, term()} | :error
  def decode(text) do
    with true <- String.valid?(text),
         {value, rest} <- value(skip(text), 0),
         "" <- skip(rest) do
      {:ok, value}
    else
      _ -> :error
    end
  catch
    :invalid -> :error
  end

  defp value("{" <> rest, depth), do: rest |> skip() |> object(%{}, deeper(depth))
  defp value("[" <> rest, depth), do: rest |> skip() |> list([], deeper(depth))
  defp value("\"" <> rest, _depth), do: text(rest, rest, 0, [])
  defp value("true" <> rest, _depth), do: {true, rest}
  defp value("false" <> rest, _depth), do: {false, rest}
  defp value("null" <> rest, _depth), do: {nil, rest}
  defp value(rest, _depth), do: number(rest)

  defp deeper(@max_depth), do: throw(:invalid)
  defp deeper(depth), do: depth + 1

  defp object("}" <> rest, members, _depth) when members == %{}, do: {members, rest}

  defp object("\"" <> rest, members, depth) do
    {key, rest} = text(rest, rest, 0, [])

    with ":" <> rest <- skip(rest), {value, rest} <- value(skip(rest), depth) do
      members = Map.put(members, key, value)

      case skip(rest) do
        "," <> rest -> rest |> skip() |> object_member(members, depth)
        "}" <> rest -> {members, rest}
        _ -> throw(:invalid)
      end
    else
      _ -> throw(:invalid)
    end
  end

  defp object(_rest, _members, _depth), do: throw(:invalid)

  defp object_member("\"" <> _ = rest, members, depth), do: object(rest, members, depth)
  defp object_member(_rest, _members, _depth), do: throw(:invalid)

  defp list("]" <> rest, [], _depth), do: {[], rest}

  defp list(rest, items, depth) do
    {item, rest} = value(rest, depth)

    case skip(rest) do
      "," <> rest -> rest |> skip() |> list_item([item | items], depth)
      "]" <> rest -> {Enum.reverse([item | items]), rest}
      _ -> throw(:invalid)
    end
  end

  defp list_item("]" <> _rest, _items, _depth), do: throw(:invalid)
  defp list_item(rest, items, depth), do: list(rest, items, depth)

  # `from` is where the stretch without escapes begins, `length` how long it is so far.
  defp text("\"" <> rest, from, length, parts), do: {join(parts, from, length), rest}

  defp text("\\u" <> rest, from, length, parts) do
    {code, rest} = escaped_code(rest)
    text(rest, rest, 0, [parts, binary_part(from, 0, length), <<code::utf8>>])
  end

  defp text(<<"\\", escape, rest::binary>>, from, length, parts) do
    text(rest, rest, 0, [parts, binary_part(from, 0, length), unescaped(escape)])
  end

  defp text(<<byte, rest::binary>>, from, length, parts) when byte >= 0x20,
    do: text(rest, from, length + 1, parts)

  defp text(_rest, _from, _length, _parts), do: throw(:invalid)

  defp join([], from, length), do: binary_part(from, 0, length)
  defp join(parts, from, length), do: IO.iodata_to_binary([parts, binary_part(from, 0, length)])

  defp unescaped(?n), do: "\n"
  defp unescaped(?t), do: "\t"
  defp unescaped(?r), do: "\r"
  defp unescaped(?b), do: "\b"
  defp unescaped(?f), do: "\f"
  defp unescaped(same) when same in [?", ?\\, ?/], do: <<same>>
  defp unescaped(_other), do: throw(:invalid)

  defp escaped_code(text) do
    case hex(text) do
      {high, "\\u" <> rest} when high in 0xD800..0xDBFF ->
        case hex(rest) do
          {low, rest} when low in 0xDC00..0xDFFF -> {0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00), rest}
          _ -> {0xFFFD, "\\u" <> rest}
        end

      {code, rest} when code in 0xD800..0xDFFF ->
        {0xFFFD, rest}

      other ->
        other
    end
  end

  defp hex(<<digits::binary-size(4), rest::binary>>) do
    if digits =~ ~r/^[0-9a-fA-F]{4}$/, do: {String.to_integer(digits, 16), rest}, else: throw(:invalid)
  end

  defp hex(_text), do: throw(:invalid)

  defp number(text) do
    case Regex.run(~r/^(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?/, text) do
      [all, whole] -> {String.to_integer(whole), rest_of(text, all)}
      [all, whole, fraction] -> {float(whole <> fraction), rest_of(text, all)}
      [all, whole, "", exponent] -> {float(whole <> ".0" <> exponent), rest_of(text, all)}
      [all, whole, fraction, exponent] -> {float(whole <> fraction <> exponent), rest_of(text, all)}
      nil -> throw(:invalid)
    end
  end

  defp rest_of(text, number), do: binary_part(text, byte_size(number), byte_size(text) - byte_size(number))

  # A number that is not finite is none.
  defp float(text) do
    String.to_float(text)
  rescue
    ArgumentError -> throw(:invalid)
  end

  defp skip(<<space, rest::binary>>) when space in [?\s, ?\n, ?\r, ?\t], do: skip(rest)
  defp skip(rest), do: rest

  @spec encode(term()) :: iodata()
  def encode(nil), do: "null"
  def encode(value) when is_boolean(value) or is_number(value), do: to_string(value)
  def encode(value) when is_binary(value), do: [?", escape(value), ?"]
  def encode(value) when is_list(value), do: [?[, value |> Enum.map(&encode/1) |> Enum.intersperse(?,), ?]]

  def encode(value) when is_map(value) do
    members = Enum.map(value, fn {key, member} -> [encode(to_string(key)), ?:, encode(member)] end)
    [?{, Enum.intersperse(members, ?,), ?}]
  end

  defp escape(text) do
    if text =~ ~r/["\\\x00-\x1f]/, do: for(<<byte <- text>>, into: "", do: escaped(byte)), else: text
  end

  defp escaped(?"), do: "\\\""
  defp escaped(?\\), do: "\\\\"
  defp escaped(byte) when byte < 0x20, do: "\\u00" <> Base.encode16(<<byte>>)
  defp escaped(byte), do: <<byte>>
end
