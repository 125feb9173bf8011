import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A real server, with a database of its own. */
export interface RealServer {
  url: string;
  identifier: string;
  password: string;
  stop(): Promise<void>;
}

/** Starts the program that KEYWHEEL names. */
export async function startKeywheel(settings: Record<string, string> = {}): Promise<RealServer> {
  const program = process.env["KEYWHEEL"];
  if (!program) {
    throw new Error("KEYWHEEL must be the path of the server's program. Without a server: npm run test:unit");
  }
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "keywheel-"));
  const server = spawn(program, ["dev"], {
    cwd: folder,
    env: {
      ...process.env,
      RUST_LOG: "error",
      KEYWHEEL_LISTEN: `127.0.0.1:${port}`,
      KEYWHEEL_PUBLIC_URL: `http://localhost:${port}`,
      KEYWHEEL_LIMITS__ENABLED: "false",
      ...settings,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = await greeting(server);
  const find = (label: string) => new RegExp(`^ +${label} +(\\S+)`, "m").exec(output)![1]!;
  return {
    url: `http://localhost:${port}/graphql`,
    identifier: find("Sign in"),
    password: find("Password"),
    async stop() {
      const gone = new Promise((resolve) => server.once("exit", resolve));
      server.kill();
      await gone;
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

async function freePort(): Promise<number> {
  const socket = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => socket.once("listening", resolve));
  const { port } = socket.address() as { port: number };
  await new Promise((resolve) => socket.close(resolve));
  return port;
}
