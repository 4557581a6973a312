import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const EDGE = process.env["RAG_CHAT_EDGE"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  // In production the edge serves this page itself; while developing, Vite passes its calls on.
  server: {
    proxy: Object.fromEntries(["/message", "/conversations", "/config", "/health", "/sources", "/pages", "/evaluations"].map((path) => [path, EDGE])),
  },
  // Patience for a machine that is busy with something else; nothing waits when there is nothing to wait for.
  test: { environment: "jsdom", setupFiles: ["src/test-setup.ts"], testTimeout: 60_000 },
});
