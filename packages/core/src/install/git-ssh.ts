/**
 * ssh inside git's sandbox: the operator's agent of keys and list of known hosts, and nothing else of theirs. No key
 * file, no configuration. The way out speaks HTTP only, so a few lines of Node ask it for the connection.
 */
import { join } from "node:path";
import { shownAs, WAY_OUT_PORT, type Place } from "../sandbox/sandbox.ts";

const AGENT_SOCKET = "/run/ssh-agent";
const KNOWN_HOSTS = "/etc/ssh/known_hosts";
const GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts";

/** What ssh is told in a sandbox and outside of one; nothing of the user's configuration. */
const OPTIONS =
  "-F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o PermitLocalCommand=no -o ClearAllForwardings=yes -o ForwardAgent=no -o ForwardX11=no";

/** The only program that git starts by name of a configuration value. */
export const SSH_COMMAND: string = `ssh ${OPTIONS} -o ProxyCommand=none`;

/** git hands it to a shell, and ssh its ProxyCommand to another: what is quoted here is for the second. */
const BOXED_SSH_COMMAND = `ssh ${OPTIONS} -o UserKnownHostsFile=${KNOWN_HOSTS} -o IdentityFile=none -o 'ProxyCommand="$OPENSENTIENCE_NODE" -e "$OPENSENTIENCE_TUNNEL" -- %h %p'`;

/** Asks Core's proxy for the host, then passes bytes on between it and ssh. */
const TUNNEL = `
const [host, port] = process.argv.slice(1);
const socket = require("node:net").connect(${WAY_OUT_PORT}, "127.0.0.1");
socket.write("CONNECT " + (host.includes(":") ? "[" + host + "]" : host) + ":" + port + " HTTP/1.1\\r\\n\\r\\n");
socket.on("error", () => process.exit(1)).on("close", () => process.exit());
let answer = Buffer.alloc(0);
socket.on("data", function read(data) {
  answer = Buffer.concat([answer, data]);
  const end = answer.indexOf("\\r\\n\\r\\n");
  if (end === -1) return;
  if (!answer.toString("latin1").startsWith("HTTP/1.1 200 ")) process.exit(1);
  socket.off("data", read);
  process.stdout.write(answer.subarray(end + 4));
  socket.pipe(process.stdout);
  process.stdin.pipe(socket);
});
`;

export function boxedSshEnvironment(hasAgent: boolean): Record<string, string> {
  return {
    GIT_SSH_COMMAND: BOXED_SSH_COMMAND,
    OPENSENTIENCE_NODE: process.execPath,
    OPENSENTIENCE_TUNNEL: TUNNEL,
    ...(hasAgent ? { SSH_AUTH_SOCK: AGENT_SOCKET } : {}),
  };
}

/** What of the operator's ssh a box of git shows; what is not there is left out. */
export function sshPlaces(operatorHome: string, agentSocket: string | undefined): Place[] {
  const shown = [
    shownAs(KNOWN_HOSTS, join(operatorHome, ".ssh/known_hosts")),
    shownAs(GLOBAL_KNOWN_HOSTS, GLOBAL_KNOWN_HOSTS),
    agentSocket === undefined ? undefined : shownAs(AGENT_SOCKET, agentSocket),
  ];
  return shown.filter((place) => place !== undefined);
}
