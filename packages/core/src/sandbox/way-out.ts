/**
 * The one socket inside an empty network namespace, and how it comes into Core's hands.
 *
 * Before the agent's first instruction the shim starts a short program in the box, which binds 127.0.0.1 there, sends the
 * listening socket to Core (as Node's parents and children do: one line and a descriptor on a socket pair) and is gone.
 * A socket stays in the namespace it was made in, whoever accepts on it: so nothing of the way out lives in the box,
 * where an agent could stop, trace or outlive it, and where it would keep the box from ending.
 *
 * Two programs can do it. Perl starts in 2 ms and is part of every Debian; Core's own Node takes twenty times as long
 * and is there for certain. Perl is tried first; where it is missing or fails, Node does it.
 */
import type { Server } from "node:net";
import type { ChildProcess } from "../host/child-process.ts";

/** Above the ports that the kernel hands out, so that it is nobody's by accident. Each run has its own 127.0.0.1. */
export const WAY_OUT_PORT = 61_080;
/** Descriptor of the socket pair; the shim closes it before it becomes the agent, and so it is the fifth of the spawn's. */
const WAY_OUT_FD = 5;
/** Exit code of a shim whose listener failed. */
const NO_WAY_OUT = 126;

const PERL = "/usr/bin/perl";
/** Number of sendmsg(2), which Perl has no function for; the layouts below are those of 64-bit little-endian machines. */
const SENDMSG: Partial<Record<NodeJS.Architecture, number>> = { x64: 46, arm64: 211 };

/**
 * No module: loading one costs more than all the rest. 2, 2049: AF_INET, SOCK_STREAM | SOCK_NONBLOCK; 1, 1: SOL_SOCKET,
 * SCM_RIGHTS.
 * SECURITY: Core accepts on this socket in its event loop. Without a descriptor to spare it accepts until there is nothing to
 * accept, and on a socket that blocks it waited there for ever: an agent with many connections stopped Core. Pinned by "an
 * agent that opens more connections than Core has descriptors ends nothing but its own".
 */
const PERL_LISTENER = `
socket(my $socket, 2, 2049, 0) or die;
bind($socket, pack("S n a4 x8", 2, ${WAY_OUT_PORT}, "\\x7f\\0\\0\\1")) or die;
listen($socket, 511) or die;
my $line = '{"cmd":"NODE_HANDLE","type":"net.Server","msg":"listening"}' . "\\n";
my $data = pack("P Q", $line, length $line);
my $rights = pack("Q l l l x4", 20, 1, 1, fileno $socket);
my $message = pack("Q Q P Q P Q Q", 0, 0, $data, 1, $rights, length $rights, 0);
syscall($ARGV[0], ${WAY_OUT_FD}, $message, 0) == length $line or die;
`;

const NODE_LISTENER = `
require("node:net").createServer().listen(${WAY_OUT_PORT}, "127.0.0.1", function () {
  process.send("listening", this, () => process.exit());
});
`;

/**
 * The first lines of a shim whose first arguments are those of `listenerArguments`; it must close WAY_OUT_FD later.
 * SECURITY: the listener has an environment of nothing, so that an approved variable (NODE_OPTIONS, PERL5OPT) puts no
 * code on the socket pair to Core; and the agent hears nothing of the pair. Pinned by "the listener runs before the agent
 * and leaves it nothing".
 */
export const LISTENER_LINES: readonly string[] = [
  `{ [ "$4" != 0 ] && env -i "$1" -e "$2" "$4" 2>/dev/null; } || env -i NODE_CHANNEL_FD=${WAY_OUT_FD} "$3" -e "$5" || exit ${NO_WAY_OUT}`,
  "unset NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE",
  "shift 5",
];

/** `nodePath` has to exist in the box, `perlPath` may. */
export function listenerArguments(nodePath: string = process.execPath, perlPath: string = PERL): string[] {
  const sendmsg = process.platform === "linux" ? (SENDMSG[process.arch] ?? 0) : 0;
  return [perlPath, PERL_LISTENER, nodePath, String(sendmsg), NODE_LISTENER];
}

/**
 * The listening socket of a child that was started with "ipc" at WAY_OUT_FD. The channel is closed before this
 * resolves, so nothing that runs later can speak on it. Rejects when the child ends, or `timeoutMs` pass, before it came;
 * a caller may wait for that later.
 */
export function receiveListener(child: ChildProcess, timeoutMs: number): Promise<Server> {
  const received = new Promise<Server>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the way out was not ready in time")), timeoutMs);
    const fail = (): void => {
      clearTimeout(timer);
      reject(new Error("the box ended before its way out was ready"));
    };
    child.once("exit", fail).once("disconnect", fail);
    child.once("message", (_message, handle) => {
      clearTimeout(timer);
      child.off("exit", fail).off("disconnect", fail).disconnect();
      // A child can send any kind of handle, or none.
      if (handle !== undefined && handle !== null && "listening" in handle) resolve(handle as Server);
      else reject(new Error("the way out is no listening socket"));
    });
  });
  received.catch(() => {});
  return received;
}
