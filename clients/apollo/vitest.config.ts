import { defineConfig } from "vitest/config";

const apollo3 = { alias: [{ find: /^@apollo\/client(?=\/|$)/, replacement: "apollo3" }] };

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit-apollo3", include: ["test/unit/**/*.test.{ts,tsx}"] }, resolve: apollo3 },
      { test: { name: "unit-apollo4", include: ["test/unit/**/*.test.{ts,tsx}"] } },
      // Against a real server: KEYWHEEL is the path of its program.
      { test: { name: "server-apollo3", include: ["test/server/apollo.test.ts"], testTimeout: 60_000, hookTimeout: 30_000 }, resolve: apollo3 },
      { test: { name: "server-apollo4", include: ["test/server/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 30_000 } },
    ],
  },
});
