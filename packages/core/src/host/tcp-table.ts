/**
 * The kernel's table of TCP sockets (proc_net(5)): who holds a port, and which user is at the other end of a connection
 * from this machine. Linux only, IPv4 only; elsewhere neither can be told.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

const ESTABLISHED = "01";
const LISTENING = "0A";

type Row = { local: string; remote: string; state: string; user: number; inode: string };
export type PortHolder = { pid: number; program: string };

/** Whether `peerUser` can answer for connections to that address. */
export function canTellUsers(address: string): boolean {
  return process.platform === "linux" && /^127\.\d+\.\d+\.\d+$/.test(address);
}

/** User id of the process that made the connection, undefined where that cannot be told. */
export function peerUser(connection: {
  remoteAddress?: string | undefined;
  remotePort?: number | undefined;
  localAddress?: string | undefined;
  localPort?: number | undefined;
}): number | undefined {
  const peer = asRow(connection.remoteAddress, connection.remotePort);
  const own = asRow(connection.localAddress, connection.localPort);
  if (peer === undefined || own === undefined) return undefined;
  return rows().find(({ local, remote, state }) => local === peer && remote === own && state === ESTABLISHED)?.user;
}

/** The program that listens on that port, if it is one whose open files may be seen. */
export function portHolder(port: number): PortHolder | undefined {
  const suffix = `:${hexPort(port)}`;
  const links = new Set(
    rows()
      .filter(({ local, state }) => state === LISTENING && local.endsWith(suffix))
      .map(({ inode }) => `socket:[${inode}]`),
  );
  if (links.size === 0) return undefined;
  const pid = listed("/proc").find(
    (name) =>
      /^\d+$/.test(name) && listed(`/proc/${name}/fd`).some((fd) => links.has(linkOf(`/proc/${name}/fd/${fd}`))),
  );
  return pid === undefined ? undefined : { pid: Number(pid), program: programOf(pid) };
}

/** The program, and of an interpreter the file it runs; never its other arguments, which may be secrets. */
function programOf(pid: string): string {
  const [program = "", first = ""] = textOf(`/proc/${pid}/cmdline`).split("\0");
  const file = first.startsWith("-") || first === "" ? "" : ` ${basename(first)}`;
  return `${basename(program) || textOf(`/proc/${pid}/comm`).trim()}${file}`.replaceAll(/[^ -~]/g, "?").slice(0, 80);
}

function rows(): Row[] {
  return textOf("/proc/net/tcp")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([, local, remote, state, , , , user, , inode]) =>
      local === undefined || remote === undefined || state === undefined || inode === undefined
        ? []
        : [{ local, remote, state, user: Number(user), inode }],
    );
}

/** As the table writes it: the address as one number of the machine's byte order, which is little-endian wherever Node runs. */
function asRow(address: string | undefined, port: number | undefined): string | undefined {
  const parts = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address ?? "")?.slice(1);
  if (parts === undefined || port === undefined) return undefined;
  const bytes = parts.toReversed().map((part) => Number(part).toString(16).padStart(2, "0"));
  return `${bytes.join("").toUpperCase()}:${hexPort(port)}`;
}

function hexPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
