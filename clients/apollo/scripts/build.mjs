// Makes dist: modules as TypeScript writes them, the same for `require`, and the schema and licences beside them.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

rmSync(here("dist"), { recursive: true, force: true });
execFileSync(process.execPath, [here("node_modules/typescript/bin/tsc"), "-p", here("tsconfig.build.json")], {
  stdio: "inherit",
});

mkdirSync(here("dist/cjs"));
for (const file of readdirSync(here("dist/esm"))) {
  if (file.endsWith(".d.ts")) {
    write(file, readFileSync(here(`dist/esm/${file}`), "utf8"));
  } else {
    write(
      file,
      transformSync(readFileSync(here(`dist/esm/${file}`), "utf8"), { format: "cjs", target: "es2022" }).code,
    );
  }
}
write("package.json", '{ "type": "commonjs" }\n');

for (const file of ["schema.graphql", "LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(here(`../../${file}`), here(file));

function write(file, text) {
  writeFileSync(here(`dist/cjs/${file}`), text);
}
