import { defineConfig } from "@playwright/test";

// The built console in a real browser, with the API answered from dev/fixtures.ts. `npm run build` comes first.
const port = Number(process.env.CONSOLE_TEST_PORT ?? 4319);

export default defineConfig({
  testDir: "browser",
  timeout: 120_000,
  workers: 1,
  reporter: [["list"]],
  use: {
    baseURL: `http://localhost:${port}`,
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  webServer: { command: `npx vite preview --mode mock --port ${port} --strictPort`, port, reuseExistingServer: false },
});
