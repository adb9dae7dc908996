// Holds the sizes of the built console: what every page loads first, and what each page adds (gzip, as clients get it).
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { closure, pages, readManifest } from "./pack.mjs";

const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "dist");
const ENTRY = 150;
const ROUTE = 60;
const routeBudgets = { chat: 70 };

const kB = (files) => files.reduce((sum, f) => sum + statSync(join(dist, `${f}.gz`)).size, 0) / 1000;
const manifest = readManifest();
const entry = new Set();
const first = closure(manifest, "index.html", entry);
const results = [["entry", kB(first), ENTRY]];
for (const page of new Set(Object.values(pages))) {
  results.push([
    page,
    kB(closure(manifest, `src/routes/${page}/page.tsx`, new Set(entry))),
    routeBudgets[page] ?? ROUTE,
  ]);
}
let over = 0;
for (const [name, size, budget] of results) {
  if (size > budget) over++;
  console.log(`RESULT budget part=${name} kb_gz=${size.toFixed(1)} budget=${budget}${size > budget ? " OVER" : ""}`);
}
process.exit(over === 0 ? 0 : 1);
