import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A real server, with a database of its own. */
export interface RealServer {
  /** Where it listens, at 127.0.0.1. */
  port: number;
  url: string;
  identifier: string;
  password: string;
  /** Starts another node on the same database; tells its port. */
  another(): Promise<number>;
  stop(): Promise<void>;
}

/** Only a retry key is forgiven: no windows in which a mistake of the client passes. */
export const STRICT = {
  KEYWHEEL_TOKENS__RACE_WINDOW_MS: "0",
  KEYWHEEL_TOKENS__RETRY_WINDOW_MS: "0",
  KEYWHEEL_TOKENS__COOKIE_KEEP_MS: "0",
};

/** Starts the program that KEYWHEEL names. */
export async function startKeywheel(settings: Record<string, string> = {}): Promise<RealServer> {
  const program = process.env["KEYWHEEL"];
  if (!program) {
    throw new Error("KEYWHEEL must be the path of the server's program. Without a server: npm run test:unit");
  }
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "keywheel-"));
  const nodes: ChildProcess[] = [];
  const start = async (port: number) => {
    const node = spawn(program, ["dev"], {
      cwd: folder,
      env: {
        ...process.env,
        RUST_LOG: "error",
        KEYWHEEL_PUBLIC_URL: url.replace("/graphql", ""),
        KEYWHEEL_LIMITS__ENABLED: "false",
        KEYWHEEL_PASSWORDS__MEMORY_KIB: "8", // nobody guesses here, and the browser needs the machine
        KEYWHEEL_PASSWORDS__ITERATIONS: "1",
        KEYWHEEL_PASSWORDS__DEADLINE_MS: "30000",
        ...settings,
        KEYWHEEL_LISTEN: `127.0.0.1:${port}`,
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    nodes.push(node);
    return greeting(node);
  };
  const url = `http://localhost:${port}/graphql`;
  const output = await start(port);
  const find = (label: string) => new RegExp(`^ +${label} +(\\S+)`, "m").exec(output)![1]!;
  return {
    port,
    url,
    identifier: find("Sign in"),
    password: find("Password"),
    async another() {
      const port = await freePort();
      await start(port);
      return port;
    },
    async stop() {
      const gone = nodes.map((node) => new Promise((resolve) => node.once("exit", resolve)));
      for (const node of nodes) node.kill();
      await Promise.all(gone);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What it prints until it is ready. */
function greeting(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    server.stdout!.on("data", (chunk: Buffer) => {
      output += String(chunk);
      if (/^ +Data /m.test(output)) resolve(output);
    });
    server.once("error", reject);
    server.once("exit", () => reject(new Error(`the server ended:\n${output}`)));
  });
}

export async function freePort(): Promise<number> {
  const socket = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => socket.once("listening", resolve));
  const { port } = socket.address() as { port: number };
  await new Promise((resolve) => socket.close(resolve));
  return port;
}
