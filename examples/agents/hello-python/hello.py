"""The five reference tools."""

from protocol import Agent, ToolError


def hello_world(given, call):
    """Greets whoever is named."""
    return {"greeting": f"Hello, {given.get('name', 'world')}!"}


def stream_counter(given, call):
    """Counts aloud, one piece per number."""
    for number in range(1, given["to"] + 1):
        call.check()
        call.stream(f"{number}\n")
        if given.get("pause_ms", 0) > 0:
            call.pause(given["pause_ms"] / 1000)
    return {"counted": given["to"]}


def sleep(given, call):
    """Waits; can be canceled."""
    call.pause(given["ms"] / 1000)
    return {"slept_ms": given["ms"]}


def invalid_input(given, call):
    """Takes anything and refuses it."""
    raise ToolError("hello.refused", "this tool refuses every input")


def large_output(given, call):
    """Answers with as many characters as asked for."""
    return {"text": "x" * given["bytes"]}


def fields(required=(), **properties):
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def whole(least, most):
    return {"type": "integer", "minimum": least, "maximum": most}


Agent(
    "1.0.0",
    {
        "hello_world": (fields(name={"type": "string", "maxLength": 200}), hello_world),
        "stream_counter": (fields(["to"], to=whole(1, 1_000_000), pause_ms=whole(0, 60_000)), stream_counter),
        "sleep": (fields(["ms"], ms=whole(0, 3_600_000)), sleep),
        "invalid_input": ({"type": "object"}, invalid_input),
        "large_output": (fields(["bytes"], bytes=whole(0, 16_000_000)), large_output),
    },
).run()
