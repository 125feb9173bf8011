import react from "@vitejs/plugin-react";
import { defineConfig, type ProxyOptions } from "vite";

/** Where Keywheel runs: its `public_url`, as `keywheel dev` prints it. */
const keywheel = (process.env["KEYWHEEL_URL"] ?? "http://localhost:4000").replace(/\/+$/, "");

/**
 * The page and Keywheel share an origin, as behind one host in production. So the cookie is the page's own, and nothing has to
 * be allowed: for HTTP the browser says itself that a request is `same-origin`. It does not say so of a WebSocket; there
 * the origin is rewritten. That is no loss, since Keywheel takes no cookie there but the token in the first message.
 */
const graphql: ProxyOptions = { target: keywheel, ws: true, rewriteWsOrigin: true };

/** What the built pages need, and nothing else. Send the same from your own server; behind TLS, `connect-src 'self'` covers wss. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
];

const headers = {
  "content-security-policy": policy.join("; "),
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export default defineConfig(({ command }) => ({
  plugins: [react()],
  // The package is a link to the folder beside, which may have a React of its own. There must be one.
  resolve: { dedupe: ["@apollo/client", "graphql", "react", "react-dom", "rxjs"] },
  define: { DEV_MAIL: JSON.stringify(command === "serve" ? `${keywheel}/dev/mail` : "") },
  server: { port: 5173, proxy: { "/graphql": graphql } },
  preview: { port: 4173, proxy: { "/graphql": graphql }, headers },
  build: { target: "es2022", cssTarget: ["chrome123", "firefox120", "safari17.5"], assetsInlineLimit: 0 },
}));
