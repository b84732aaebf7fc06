/** The page's own end of the event stream, against a Core: it comes back by itself, and misses nothing. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { EventStream, type StreamState } from "../../packages/admin-ui/src/live/event-stream.ts";
import { type CoreHome, eventually, newHome } from "../support/core-home.ts";
import { PageClient, type SignedIn } from "../support/page-client.ts";
import { smallAgentAt } from "../support/small-agent.ts";

/** The way from the page to Core, which can break. */
class Way {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  isOpen = true;

  constructor(port: number) {
    this.#server = createServer((near) => {
      if (!this.isOpen) return void near.destroy();
      const far = connect(port, "127.0.0.1");
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on("error", () => {}).once("close", () => this.#sockets.delete(socket));
      }
      // For Core the page stands on Core's own port.
      near.on("data", (bytes: Buffer) => {
        far.write(bytes.toString("latin1").replace(/^host: .*$/m, `host: 127.0.0.1:${port}`), "latin1");
      });
      far.pipe(near);
    });
  }

  async open(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  break(): void {
    this.isOpen = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.break();
    this.#server.close();
  }
}

let home: CoreHome;
let page: PageClient;
let me: SignedIn;
let way: Way;
const streams: EventStream[] = [];
beforeAll(async () => {
  home = await newHome();
  page = await PageClient.of(home);
  me = await page.signIn();
  way = new Way(page.port);
  const port = await way.open();
  // What a browser does for the page: the origin before the path, and the cookie, which no script sees.
  const send = globalThis.fetch;
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const headers = { ...(init.headers as Record<string, string>), cookie: me.cookie };
    return await send(`http://127.0.0.1:${port}${path}`, { ...init, headers });
  });
});
afterEach(() => {
  for (const stream of streams.splice(0)) stream.close();
});
afterAll(async () => {
  vi.unstubAllGlobals();
  way.close();
  await home.dispose();
});

type Heard = { states: StreamState[]; names: string[]; text: string };

function listen(secret: string): Heard {
  const heard: Heard = { states: [], names: [], text: "" };
  const stream = new EventStream("topics=catalog,audit", secret, "", {
    onState: (state) => heard.states.push(state),
    onEvent: ({ name, data }) => {
      heard.names.push(name);
      heard.text += data;
    },
  });
  streams.push(stream);
  return heard;
}

test("a stream that broke comes back with what it missed, and without reading everything again", async () => {
  const heard = listen(me.csrf);
  await eventually(() => heard.names.includes("hello"), "hello");
  way.break();
  await eventually(() => heard.states.at(-1) === "connecting", "that it broke");
  await smallAgentAt(home, "com.example.missed", "installed");
  expect(heard.text).not.toContain("com.example.missed");
  way.isOpen = true;
  await eventually(() => heard.text.includes("com.example.missed"), "what was missed");
  expect(heard.states.filter((state, index, all) => state !== all[index - 1])).toEqual(["open", "connecting", "open"]);
  expect(heard.names.filter((name) => name === "reset")).toEqual([]);
});

test("one without the secret of the page is refused, and not asked for again", async () => {
  for (const secret of ["", "A".repeat(43)]) {
    const heard = listen(secret);
    await eventually(() => heard.states.length > 0, "an answer");
    expect(heard).toEqual({ states: ["refused"], names: [], text: "" });
  }
});

test("one whose session ends is over", async () => {
  const heard = listen(me.csrf);
  await eventually(() => heard.states.at(-1) === "open", "the stream");
  await page.change("/api/v1/session/sign-out", me);
  await eventually(() => heard.states.at(-1) === "refused", "the refusal");
  expect(heard.states).toEqual(["open", "connecting", "refused"]);
});
