/**
 * Both ends of a copy, each a program of its own, so that what is between them is measured and not they.
 * `serve` listens, prints its port, and to each connection sends as many bytes as its first line says.
 * `sink` listens, prints its port, and answers each connection with the number of bytes that came on it.
 * `fetch PROXY_PORT|0 PORT BYTES [delay]` gets them, by CONNECT or directly, and prints bytes and milliseconds.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";

const CHUNK = Buffer.alloc(256 * 1024, "x");
const [what, ...args] = process.argv.slice(2);
if (what === "serve") serve();
else if (what === "sink") sink();
else await fetchBytes(...args.map(Number));

function serve() {
  const server = createServer({ noDelay: true }, (socket) => {
    let left = 0;
    const send = () => {
      while (left > 0) {
        const piece = CHUNK.subarray(0, Math.min(left, CHUNK.length));
        left -= piece.length;
        if (!socket.write(piece)) return;
      }
      socket.end();
    };
    socket.on("error", () => {});
    socket.on("drain", send);
    socket.once("data", (line) => {
      left = Number.parseInt(String(line), 10);
      send();
    });
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
}

function sink() {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let received = 0;
    socket.on("error", () => {});
    socket.on("data", (data) => (received += data.length));
    socket.on("end", () => socket.end(String(received)));
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
}

async function fetchBytes(proxyPort, port, bytes) {
  const startedMs = performance.now();
  const buffer = Buffer.allocUnsafe(256 * 1024);
  let received = 0;
  let skipped = proxyPort === 0;
  const socket = connect({
    port: proxyPort || port,
    host: "127.0.0.1",
    onread: {
      buffer,
      callback(length) {
        if (skipped) received += length;
        else {
          // The proxy's answer comes alone: the server speaks only after it was spoken to.
          skipped = true;
          socket.write(`${bytes}\n`);
        }
        return true;
      },
    },
  });
  socket.write(proxyPort === 0 ? `${bytes}\n` : `CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`);
  await once(socket, "close");
  console.log(JSON.stringify({ received, ms: performance.now() - startedMs }));
}
