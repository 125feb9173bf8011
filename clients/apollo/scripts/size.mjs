// Says how large each entry point is for a page: bundled, minified and compressed. Fails when one is too large.
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";

const LIMITS = { core: 5120, index: 5632, dpop: 1536, react: 512 }; // bytes

let tooLarge = false;
for (const [entry, limit] of Object.entries(LIMITS)) {
  const { outputFiles } = buildSync({
    entryPoints: [`dist/esm/${entry}.js`],
    external: ["@apollo/client", "graphql", "react"],
    format: "esm",
    bundle: true,
    minify: true,
    write: false,
  });
  const { contents } = outputFiles[0];
  const bytes = gzipSync(contents, { level: 9 }).length;
  console.log(
    `${entry.padEnd(6)} ${String(contents.length).padStart(6)} bytes, ${String(bytes).padStart(5)} gzipped (limit ${limit})`,
  );
  tooLarge ||= bytes > limit;
}
process.exit(tooLarge ? 1 : 0);
