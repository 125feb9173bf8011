// Servers that share a folder, a secret and a database, and what they are asked.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

export class Servers {
  folder = mkdtempSync(join(tmpdir(), "keywheel-"));
  children = [];
  #program;
  #env;

  /** Cheap hashes, any port, and `settings` on top. */
  constructor(program, settings) {
    this.#program = resolve(program);
    this.#env = {
      KEYWHEEL_SECRET: randomBytes(32).toString("base64"),
      KEYWHEEL_DATABASE_URL: process.env.DATABASE_URL ?? `sqlite://${this.folder}/keywheel.db`,
      KEYWHEEL_PUBLIC_URL: "http://localhost:4000",
      KEYWHEEL_LISTEN: "127.0.0.1:0",
      KEYWHEEL_PASSWORDS__MEMORY_KIB: "8",
      KEYWHEEL_PASSWORDS__ITERATIONS: "1",
      ...settings,
    };
  }

  /** Runs one more; resolves to its address. */
  async start(settings = {}) {
    const env = { ...this.#env, ...settings };
    const child = spawn(this.#program, ["serve", "--migrate"], { cwd: this.folder, env, stdio: ["ignore", "pipe", "inherit"] });
    this.children.push(child);
    const lines = createInterface({ input: child.stdout });
    return new Promise((found, failed) => {
      lines.on("line", (line) => line.includes('"listening"') && found(`http://${JSON.parse(line).address}`));
      child.once("exit", (code) => failed(new Error(`the server ended with ${code}`)));
    });
  }

  /** What a command of an operator prints. */
  run(...words) {
    return execFileSync(this.#program, words, { cwd: this.folder, env: this.#env, encoding: "utf8", stdio: "pipe" });
  }

  async stop() {
    for (const child of this.children) child.kill("SIGTERM");
    await Promise.all(this.children.map((child) => child.exitCode ?? new Promise((done) => child.once("exit", done))));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The payload of a mutation that takes one `input`. */
export async function ask(node, query, input, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(`${node}/graphql`, { method: "POST", headers, body: JSON.stringify({ query, variables: { input } }) });
  const answer = await response.json();
  if (answer.errors) throw new Error(JSON.stringify(answer.errors));
  return Object.values(answer.data)[0];
}
