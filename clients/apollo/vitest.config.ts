import { defineConfig } from "vitest/config";

const apollo3 = { alias: [{ find: /^@apollo\/client(?=\/|$)/, replacement: "apollo3" }] };

// Against a real server: KEYWHEEL is the path of its program. They wait more than they work, so several run at once on any machine.
const server = { testTimeout: 300_000, hookTimeout: 120_000, maxWorkers: 2, sequence: { groupOrder: 1 } };

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit-apollo3", include: ["test/unit/**/*.test.{ts,tsx}"] }, resolve: apollo3 },
      { test: { name: "unit-apollo4", include: ["test/unit/**/*.test.{ts,tsx}"] } },
      { test: { name: "server-apollo3", include: ["test/server/*.test.ts"], ...server }, resolve: apollo3 },
      { test: { name: "server-apollo4", include: ["test/server/*.test.ts"], ...server } },
      { test: { name: "browser", include: ["test/browser/*.test.ts"], ...server } },
    ],
  },
});
