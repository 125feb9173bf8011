// Builds @keywheel/apollo, which this example takes from the folder beside it, when it was not built or has changed since.
// With the package from the registry there is no such step.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../../clients/apollo", import.meta.url));
const built = `${folder}/dist/esm/index.js`;

const changed = (path) => statSync(path).mtimeMs;
const newest = () => Math.max(...readdirSync(`${folder}/src`).map((file) => changed(`${folder}/src/${file}`)));

/** npm itself, on every system: it says where it is to the scripts that it runs. */
function npm(...args) {
  const { npm_execpath: program } = process.env;
  if (!program) throw new Error("run this by npm: npm install, npm start");
  execFileSync(process.execPath, [program, ...args], { cwd: folder, stdio: "inherit" });
}

if (!existsSync(built) || changed(built) < newest()) {
  console.log("Building @keywheel/apollo ...");
  if (!existsSync(`${folder}/node_modules/esbuild`)) npm("ci", "--no-audit", "--no-fund", "--loglevel=error");
  npm("run", "build");
}
