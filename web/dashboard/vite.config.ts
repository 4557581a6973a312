/// <reference types="vitest/config" />
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Where `npm run dev` and `npm run preview` find an engine; the built dashboard always uses its own origin. */
const engineUrl = process.env["BROADAXE_HTTP_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  server: { host: "127.0.0.1", proxy: { "/api": engineUrl } },
  preview: { host: "127.0.0.1", proxy: { "/api": engineUrl } },
  build: { target: "es2022", reportCompressedSize: true },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test/setup.ts"],
    restoreMocks: true,
    // All files share a browser and its modules, which takes half the time. What a test leaves there, it takes away.
    isolate: false,
    maxWorkers: 2,
    // A bound on hanging, for a machine with too much to do.
    testTimeout: 120_000,
  },
});
