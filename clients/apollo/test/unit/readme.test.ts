import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";

const FOLDER = "test/readme";
const readme = readFileSync("README.md", "utf8");

afterEach(() => rmSync(FOLDER, { recursive: true, force: true }));

test("the examples in TypeScript compile", { timeout: 60_000 }, () => {
  mkdirSync(FOLDER, { recursive: true });
  const blocks = [...readme.matchAll(/```(tsx?)\n([^]*?)```/g)].filter(([, , code]) => !code!.includes("nextjs"));
  expect(blocks.length).toBeGreaterThan(6);
  blocks.forEach(([, kind, code], index) => {
    writeFileSync(`${FOLDER}/${index === 0 ? "client" : `example${index}`}.${kind}`, code!);
  });
  const compilerOptions = {
    module: "ESNext",
    moduleResolution: "Bundler",
    noEmit: true,
    paths: { "@keywheel/apollo": ["../../src/index.ts"], "@keywheel/apollo/*": ["../../src/*"] },
  };
  writeFileSync(
    `${FOLDER}/tsconfig.json`,
    JSON.stringify({ extends: "../../tsconfig.json", compilerOptions, include: ["."] }),
  );
  const { stdout } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", FOLDER], {
    encoding: "utf8",
  });
  expect(stdout).toBe("");
});
