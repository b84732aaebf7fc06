"""The agent's side of the OpenSentience runtime protocol, version 1, in Python's standard library.

One thread reads; each call has a thread of its own; one lock holds each frame together. When the connection is gone,
for whatever reason, the process exits: there is no reconnect.
"""

import datetime
import json
import os
import socket
import struct
import sys
import threading
import time

MAX_OUTPUT_BYTES = 3 * 1024 * 1024
ECHOED = ("request_id", "correlation_id", "causation_id")
# Nothing a caller may see: the details are in the agent's log.
FAILED = {"code": "tool.failed", "message": "the tool failed; the agent's log says why"}


class ToolError(Exception):
    """Fails a call with a code and a message that the caller may see."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Canceled(Exception):
    """The caller does not wait any more."""


class Call:
    """One call while it is under way."""

    def __init__(self, agent, message):
        self._agent = agent
        self._message = message
        self._seq = 0
        self.id = message["payload"]["call_id"]
        self.canceled = threading.Event()

    def stream(self, text, channel="stdout"):
        self._seq += 1
        payload = {"call_id": self.id, "seq": self._seq, "channel": channel, "data": {"text": text}}
        self._agent.send("agent.tool.stream", payload, **self._echo())

    def pause(self, seconds):
        """Sleeps, or raises Canceled as soon as the call is."""
        if self.canceled.wait(seconds):
            raise Canceled()

    def check(self):
        if self.canceled.is_set():
            raise Canceled()

    def finish(self, **outcome):
        payload = {"call_id": self.id, **outcome}
        self._agent.send("agent.tool.result", payload, in_reply_to=self._message["id"], **self._echo())

    def _echo(self):
        return {key: self._message[key] for key in ECHOED if key in self._message}


class Agent:
    def __init__(self, version, tools):
        self._version = version
        self._tools = tools
        self._id = os.environ["OPENSENTIENCE_AGENT_ID"]
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._writing = threading.Lock()
        self._sent = 0
        self._calls = {}
        self._calls_lock = threading.Lock()
        self._started = time.monotonic()
        self._max_frame_bytes = 4_194_304

    def run(self):
        self._socket.connect(os.environ["OPENSENTIENCE_SOCKET_PATH"])
        self.send(
            "agent.hello",
            {
                "session_token": os.environ.pop("OPENSENTIENCE_SESSION_TOKEN"),
                "agent_id": self._id,
                "agent_version": self._version,
                "protocol": {"supported_versions": [1], "capabilities": ["tools", "streaming", "cancellation"]},
            },
        )
        try:
            while True:
                self._handle(self._read_message())
        except (EOFError, OSError, ValueError) as error:
            self._leave(1, f"the session ended: {error}")

    def send(self, kind, payload, **envelope):
        with self._writing:
            self._sent += 1
            now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
            message = {"v": 1, "type": kind, "id": f"a-{self._sent}", "ts": now, **envelope, "payload": payload}
            body = json.dumps(message, separators=(",", ":")).encode("utf-8")
            self._socket.sendall(struct.pack(">I", len(body)) + body)

    def _read_message(self):
        (length,) = struct.unpack(">I", self._read_exactly(4))
        if not 0 < length <= self._max_frame_bytes:
            raise ValueError(f"a frame announces {length} bytes")
        message = json.loads(self._read_exactly(length).decode("utf-8"))
        if not isinstance(message, dict):
            raise ValueError("a frame is no object")
        return message

    def _read_exactly(self, count):
        parts = []
        while count > 0:
            part = self._socket.recv(min(count, 65536))
            if part == b"":
                raise EOFError("Core closed the connection")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _handle(self, message):
        kind = message.get("type")
        if kind == "core.welcome":
            self._welcome(message)
        elif kind == "core.tool.call":
            self._begin(message)
        elif kind == "core.tool.cancel":
            self._cancel(message)
        elif kind == "core.ping":
            self.send("agent.pong", {}, in_reply_to=message["id"])
        elif kind == "core.tools.registered":
            for rejected in message["payload"].get("rejected", []):
                print(f"{rejected['tool_id']} was rejected: {rejected['error']['message']}", file=sys.stderr)
        elif kind == "core.error":
            print(f"Core could not take a message: {message.get('error')}", file=sys.stderr)
        elif kind == "core.goodbye":
            self._leave(0, f"goodbye: {message['payload'].get('reason')}")
        elif "in_reply_to" not in message:
            error = {"code": "protocol.unknown_type", "message": "the type of the message is not known"}
            self.send("agent.error", {}, in_reply_to=message["id"], error=error)

    def _welcome(self, message):
        if "error" in message:
            self._leave(1, f"not welcome: {message['error'].get('message')}")
        welcome = message["payload"]
        self._max_frame_bytes = welcome["max_frame_bytes"]
        definitions = [
            {"tool_id": f"{self._id}/{name}", "name": name, "description": run.__doc__, "input_schema": schema}
            for name, (schema, run) in self._tools.items()
        ]
        self.send("agent.tools.register", {"tools": definitions})
        beat = threading.Thread(target=self._beat, daemon=True, args=(welcome["session_id"], welcome["heartbeat_interval_ms"]))
        beat.start()

    def _beat(self, session_id, interval_ms):
        while True:
            uptime_ms = int((time.monotonic() - self._started) * 1000)
            payload = {"session_id": session_id, "uptime_ms": uptime_ms, "inflight_calls": len(self._calls), "status": "ok"}
            try:
                self.send("agent.heartbeat", payload)
            except OSError:
                return
            time.sleep(interval_ms / 1000)

    def _begin(self, message):
        call = Call(self, message)
        # Before the thread starts: a cancel may be the very next message.
        with self._calls_lock:
            self._calls[call.id] = call
        threading.Thread(target=self._work, daemon=True, args=(call, message["payload"])).start()

    def _work(self, call, payload):
        try:
            outcome = self._outcome(call, payload)
        except Canceled:
            outcome = {"status": "canceled"}
        except ToolError as error:
            outcome = {"status": "failed", "error": {"code": error.code, "message": str(error)}}
        except Exception as error:  # One call must never end the agent.
            print(f"{payload['tool_id']}: {error!r}", file=sys.stderr)
            outcome = {"status": "failed", "error": FAILED}
        # Gone from the list before its result leaves: a cancel that comes now is too late.
        with self._calls_lock:
            del self._calls[call.id]
        try:
            call.finish(**outcome)
        except OSError:
            pass  # The reader sees the lost connection too, and ends the process.

    def _outcome(self, call, payload):
        agent_id, _, name = payload["tool_id"].rpartition("/")
        if agent_id != self._id or name not in self._tools:
            raise ToolError("tool.not_found", "this agent has no such tool")
        output = self._tools[name][1](payload["input"], call)
        if len(json.dumps(output).encode("utf-8")) > MAX_OUTPUT_BYTES:
            raise ToolError("tool.output_too_large", f"the output is over {MAX_OUTPUT_BYTES} bytes")
        return {"status": "succeeded", "output": output}

    def _cancel(self, message):
        call_id = message["payload"]["call_id"]
        with self._calls_lock:
            call = self._calls.get(call_id)
        # The acknowledgement first, so that it is not behind the result.
        self.send("agent.tool.cancel_ack", {"call_id": call_id, "accepted": call is not None}, in_reply_to=message["id"])
        if call is not None:
            call.canceled.set()

    def _leave(self, status, why):
        print(why, file=sys.stderr, flush=True)
        os._exit(status)
