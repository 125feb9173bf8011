import { defineConfig } from "vitest/config";

const apollo3 = { alias: [{ find: /^@apollo\/client(?=\/|$)/, replacement: "apollo3" }] };

// Against a real server: KEYWHEEL is the path of its program. One after the other, since they look at the clock.
const server = { testTimeout: 120_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit-apollo3", include: ["test/unit/**/*.test.{ts,tsx}"] }, resolve: apollo3 },
      { test: { name: "unit-apollo4", include: ["test/unit/**/*.test.{ts,tsx}"] } },
      {
        test: {
          name: "server-apollo3",
          include: ["test/server/apollo.test.ts"],
          ...server,
          sequence: { groupOrder: 1 },
        },
        resolve: apollo3,
      },
      {
        test: {
          name: "server-apollo4",
          include: ["test/server/apollo.test.ts"],
          ...server,
          sequence: { groupOrder: 2 },
        },
      },
      { test: { name: "browser", include: ["test/server/browser.test.ts"], ...server, sequence: { groupOrder: 3 } } },
    ],
  },
});
