import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { mockApi } from "./dev/mock-api.ts";

// "--mode mock" answers the API from dev/fixtures.ts, for looking at the console without a server and for the browser tests.
export default defineConfig(({ mode }) => ({
  plugins: [react(), tailwindcss(), ...(mode === "mock" ? [mockApi()] : [])],
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    outDir: "build",
    target: "es2023",
    manifest: true,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // Small parts that most pages share travel together instead of in twenty files.
          groups: [
            {
              name: "shared",
              test: /lucide-react|src\/components\/(?!approval-card|markdown|centre|modal|field|table)/,
              minShareCount: 2,
              includeDependenciesRecursively: false,
            },
          ],
        },
      },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test/setup.ts"],
    restoreMocks: true,
  },
}));
