import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { answer } from "../../dev/answers";
import en from "../messages/en";
import { openConsole } from "./console";
import { mutate, paths, wrongs } from "./mutations";
import { pages } from "./pages";

const isList = (body: unknown): body is { items: unknown[]; next: string } =>
  typeof body === "object" && body !== null && "items" in body && Array.isArray(body.items);

/** Wrongs that are tried on every field of an object by itself; the others come in lists, and several at once below. */
const telling = ["missing", "huge"];

/** Answers with one thing wrong. Of a list, all wrongs of one kind come in one answer, one entry for each field. */
function wrongAnswers(body: unknown): [string, unknown][] {
  const out: [string, unknown][] = [];
  for (const [kind, wrong] of Object.entries(wrongs)) {
    if (isList(body)) {
      const entry = body.items.at(-1);
      const items = paths(entry).map((path) => mutate(entry, path, wrong));
      out.push([`${kind} entries`, { items: [...body.items, ...items], next: "" }]);
      out.push([`${kind} items`, mutate(body, ["items"], wrong)]);
    } else {
      if (!telling.includes(kind)) continue;
      for (const path of paths(body)) out.push([`${kind} ${path.join(".")}`, mutate(body, path, wrong)]);
    }
  }
  return out;
}

describe("a wrong answer never breaks a page", () => {
  it.each(pages)("$address, whatever is wrong with one field", { timeout: 60_000 }, async ({ address, asks }) => {
    const complaints = vi.spyOn(console, "error").mockImplementation(() => {});
    for (const asked of asks) {
      const right = answer("GET", asked, new URLSearchParams("limit=3"), {}, "mock=in").body;
      for (const [what, wrong] of wrongAnswers(right)) {
        const { container, unmount } = await openConsole(address, {
          change: (path, body) => (path === asked ? wrong : body),
        });
        const shown = container.textContent ?? "";
        expect(shown, `${asked}: ${what}`).not.toContain(en.common.pageFailed);
        expect(shown, `${asked}: ${what}`).not.toMatch(/\bNaN\b|\[object Object\]|\bundefined\b|Invalid Date/);
        expect(container.querySelector("h1"), `${asked}: ${what}`).not.toBeNull();
        unmount();
      }
    }
    complaints.mockRestore();
  });

  it("even with many wrong fields at once", { timeout: 60_000 }, async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const kinds = Object.values(wrongs);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...pages), fc.infiniteStream(fc.nat()), async ({ address, asks }, picks) => {
        const pick = () => picks.next().value as number;
        const { container, unmount } = await openConsole(address, {
          change: (path, body) => {
            if (!asks.includes(path)) return body;
            let changed = body;
            for (let i = 0; i < 6; i++) {
              const all = paths(changed);
              const path = all[pick() % all.length] ?? [];
              changed = mutate(changed, path, kinds[pick() % kinds.length] ?? (() => null));
            }
            return changed;
          },
        });
        expect(container.textContent).not.toContain(en.common.pageFailed);
        unmount();
      }),
      { numRuns: 60 },
    );
  });
});
