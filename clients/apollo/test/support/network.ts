import {
  Agent,
  createServer,
  request as send,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";

/** What becomes of one request. The answer that is lost was given: what it says has happened. */
export type Fate = "arrives" | "request lost" | "answer lost";

/** One request that reached the network. */
export interface Call {
  /** Name of the operation; nothing for what has none, such as a preflight. */
  name: string;
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
  /** What the server answered, also when that got lost. */
  status?: number;
  answer?: string;
  /** It was answered, or never will be. */
  done: boolean;
}

/** The wire between browsers and a server: it counts what arrives, and may lose or delay it. */
export class Network {
  readonly calls: Call[] = [];
  /** Decides about each call of an operation. */
  fate: (call: Call) => Fate = () => "arrives";
  /** What a call waits for before it reaches the server, and before its answer leaves for the browser. */
  before: (call: Call) => Promise<void> | void = () => undefined;
  after: (call: Call) => Promise<void> | void = () => undefined;
  /** Nothing gets through. */
  down = false;
  readonly #target: number;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer(
      (request, response) => void this.#carry(request, response).catch(() => request.destroy()),
    );
    this.#server.keepAliveTimeout = 60_000;
    this.#server.on("connection", (socket: Socket) => this.#keep(socket));
    this.#server.on("upgrade", (request, socket: Socket, head) => this.#tunnel(request, socket, head));
  }

  /** A network of its own, to the server at this port. */
  static async to(target: number, port = 0): Promise<Network> {
    const network = new Network(target);
    await new Promise<void>((resolve, reject) => {
      network.#server.once("error", reject).listen(port, "127.0.0.1", resolve);
    });
    return network;
  }

  get origin(): string {
    return `http://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.origin}/graphql`;
  }

  /** How many calls of an operation reached the server. */
  count(name: string): number {
    return this.calls.filter((call) => call.name === name && call.status !== undefined).length;
  }

  /** Breaks every connection; what comes later is up to `down`. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    this.#agent.destroy();
    await closed;
  }

  async #carry(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytes(request);
    const call: Call = {
      name: /(?:mutation|query) (\w+)/.exec(String(body))?.[1] ?? "",
      method: request.method!,
      url: request.url!,
      headers: request.headers,
      body: String(body),
      done: false,
    };
    this.calls.push(call);
    response.once("close", () => (call.done = true));
    const fate = call.name && !this.down ? this.fate(call) : "arrives";
    if (this.down || fate === "request lost") return void request.socket.destroy();
    await this.before(call);
    const { status, headers, answer } = await this.#ask(call, body);
    call.status = status;
    call.answer = String(answer);
    await this.after(call);
    if (this.down || fate === "answer lost") return void request.socket.destroy();
    response.writeHead(status, headers);
    response.end(answer);
  }

  #ask({ method, url, headers }: Call, body: Buffer) {
    type Answer = { status: number; headers: IncomingMessage["headers"]; answer: Buffer };
    return new Promise<Answer>((resolve, reject) => {
      const options = { host: "127.0.0.1", port: this.#target, agent: this.#agent, method, path: url, headers };
      const outgoing = send(options, (incoming) => {
        bytes(incoming).then(
          (answer) => resolve({ status: incoming.statusCode!, headers: incoming.headers, answer }),
          reject,
        );
      });
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  }

  #tunnel(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.calls.push({ name: "", method: "UPGRADE", url: request.url!, headers: request.headers, body: "", done: true });
    if (this.down) return void socket.destroy();
    const upstream = connect(this.#target, "127.0.0.1");
    this.#keep(upstream);
    const lines = [`GET ${request.url} HTTP/1.1`];
    for (let at = 0; at < request.rawHeaders.length; at += 2)
      lines.push(request.rawHeaders.slice(at, at + 2).join(": "));
    upstream.write(`${lines.join("\r\n")}\r\n\r\n`);
    upstream.write(head);
    socket.pipe(upstream).pipe(socket);
    socket.once("close", () => upstream.destroy());
    upstream.once("close", () => socket.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}

/** A lottery that draws the same in every run (mulberry32). */
export function lottery(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function bytes(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
