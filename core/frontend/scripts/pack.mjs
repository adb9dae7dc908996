// Packs build/ for the Go program: every file compressed (gzip and brotli) into dist/, index.html as it is, and
// preload.json, which names the scripts that each page needs.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const build = join(root, "build");
const dist = join(root, "dist");

// First segment of the address ("x/*": with a second one) -> its page. core/frontend/handler.go reads it.
export const pages = {
  "": "overview",
  chat: "chat",
  "chat/*": "chat",
  runs: "runs",
  "runs/*": "run",
  agents: "agents",
  "agents/*": "agent",
  models: "models",
  services: "services",
  keys: "keys",
  login: "login",
  setup: "setup",
};

export function readManifest() {
  return JSON.parse(readFileSync(join(build, ".vite", "manifest.json"), "utf8"));
}

/** Files of a chunk and of everything that it imports at once, without those in `known`. */
export function closure(manifest, name, known = new Set()) {
  if (known.has(name)) return [];
  known.add(name);
  const chunk = manifest[name];
  return [chunk.file, ...(chunk.imports ?? []).flatMap((i) => closure(manifest, i, known))];
}

function preloads(manifest) {
  const found = Object.keys(manifest).filter((k) => /^src\/routes\/[^/]+\/page\.tsx$/.test(k));
  const missing = found.filter((k) => !Object.values(pages).includes(k.split("/")[2]));
  if (missing.length > 0) throw new Error(`scripts/pack.mjs does not know the address of ${missing.join(", ")}`);
  return Object.fromEntries(
    Object.entries(pages).map(([address, page]) => {
      const entry = new Set();
      closure(manifest, "index.html", entry);
      return [address, closure(manifest, `src/routes/${page}/page.tsx`, entry).map((f) => `/${f}`)];
    }),
  );
}

function walk(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? walk(path) : [path];
  });
}

function pack() {
  for (const name of readdirSync(dist)) if (name !== ".keep") rmSync(join(dist, name), { recursive: true });
  let plain = 0;
  let packed = 0;
  const write = (name, content) => {
    mkdirSync(dirname(join(dist, name)), { recursive: true });
    writeFileSync(join(dist, name), content);
    packed += content.length;
  };
  for (const path of walk(build)) {
    const name = relative(build, path);
    if (name.startsWith(".vite")) continue;
    const content = readFileSync(path);
    plain += content.length;
    if (name === "index.html") {
      write(name, content);
      continue;
    }
    write(`${name}.gz`, gzipSync(content, { level: 9 }));
    write(`${name}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
  }
  write("preload.json", Buffer.from(JSON.stringify(preloads(readManifest()))));
  console.log(
    `packed ${(plain / 1024).toFixed(0)} kB into ${(packed / 1024).toFixed(0)} kB of gzip and brotli in dist/`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) pack();
