/// <reference types="vitest/config" />
import tailwindcss from "@tailwindcss/vite";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** Where `npm run dev` and `npm run preview` find an engine; the built dashboard always uses its own origin. */
const engineUrl = process.env["BROADAXE_HTTP_URL"] ?? "http://127.0.0.1:8080";

const FIRST_PAGE_BYTES_MAX = 200_000;

/** Puts a compressed copy beside every file that the engine may send as that. */
function compressedAssets(): Plugin {
  return {
    name: "compressed-assets",
    apply: "build",
    writeBundle({ dir }) {
      const assets = join(dir ?? "dist", "assets");
      for (const name of readdirSync(assets).filter((one) => /\.(js|css|svg)$/.test(one))) {
        writeFileSync(join(assets, `${name}.gz`), gzipSync(readFileSync(join(assets, name)), { level: 9 }));
      }
    },
  };
}

/**
 * Fails a build whose first page is too heavy: the entry, whatever it imports at once and its styles, each compressed as
 * the engine sends them. What is imported when it is needed does not count.
 */
function lightFirstPage(): Plugin {
  return {
    name: "light-first-page",
    apply: "build",
    writeBundle(_options, bundle) {
      const names = new Set<string>();
      const take = (name: string): void => {
        const chunk = bundle[name];
        if (chunk === undefined || names.has(name)) return;
        names.add(name);
        if (chunk.type !== "chunk") return;
        chunk.imports.forEach(take);
        chunk.viteMetadata?.importedCss.forEach(take);
      };
      Object.values(bundle).forEach((chunk) => chunk.type === "chunk" && chunk.isEntry && take(chunk.fileName));
      const weights = [...names].map((name) => {
        const part = bundle[name];
        return part === undefined ? 0 : gzipSync(part.type === "chunk" ? part.code : part.source).length;
      });
      const weight = weights.reduce((sum, one) => sum + one, 0);
      if (weight > FIRST_PAGE_BYTES_MAX) {
        this.error(`The first page has ${weight} bytes compressed, of ${FIRST_PAGE_BYTES_MAX} that it may have: import what it does not need at once when it is needed.`);
      }
      this.info(`first page: ${weight} bytes compressed in ${names.size} files, of ${FIRST_PAGE_BYTES_MAX} at most`);
    },
  };
}

export default defineConfig({
  plugins: [react(), tailwindcss(), lightFirstPage(), compressedAssets()],
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
