import { screen, within } from "@testing-library/react";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { answer } from "../../dev/answers";
import * as data from "../../dev/fixtures";
import en from "../messages/en";
import pseudo from "../messages/pseudo";
import { openConsole } from "./console";
import { mutate, paths, wrongs } from "./mutations";

const { ids } = data;

/** Every page, what it asks for, and a word that shows it is there. */
const pages: { address: string; asks: string[]; title: string | RegExp }[] = [
  { address: "/", asks: ["/overview", "/services", "/agents", "/approvals", "/me"], title: "Overview" },
  { address: "/chat", asks: ["/agents", "/runs"], title: "Chat" },
  { address: `/chat/${ids.done}`, asks: asksOf(ids.done), title: "support-triage" },
  { address: `/chat/${ids.approval}`, asks: [...asksOf(ids.approval), "/approvals"], title: "support-triage" },
  { address: "/runs", asks: ["/runs", "/agents"], title: "Runs" },
  { address: `/runs/${ids.done}?step=1`, asks: asksOf(ids.done), title: "support-triage" },
  { address: `/runs/${ids.interrupted}?step=1`, asks: [...asksOf(ids.interrupted), "/approvals"], title: "billing-agent" },
  { address: "/agents", asks: ["/agents"], title: "Agents" },
  { address: "/agents/support-triage", asks: ["/agents/support-triage"], title: "support-triage" },
  { address: "/services", asks: ["/services", "/models"], title: "Services" },
  { address: "/keys", asks: ["/keys"], title: "API keys" },
];

function asksOf(run: string): string[] {
  return [`/runs/${run}`, `/runs/${run}/steps`, `/runs/${run}/messages`];
}

const isList = (body: unknown): body is { items: unknown[]; next: string } =>
  typeof body === "object" && body !== null && "items" in body && Array.isArray(body.items);

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
      for (const path of paths(body)) out.push([`${kind} ${path.join(".")}`, mutate(body, path, wrong)]);
    }
  }
  return out;
}

describe("every page", () => {
  it.each(pages)("$address shows its title", async ({ address, title }) => {
    const { unmount } = await openConsole(address);
    const main = within(screen.getByRole("main"));
    expect(main.getByRole("heading", { level: 1, name: title })).toBeTruthy();
    unmount();
  });

  it.each(pages)("$address survives whatever is wrong with one field of an answer", { timeout: 60_000 }, async ({ address, asks }) => {
    const complaints = vi.spyOn(console, "error").mockImplementation(() => {});
    for (const asked of asks) {
      const right = answer("GET", asked, new URLSearchParams("limit=3"), {}, "mock=in").body;
      for (const [what, wrong] of wrongAnswers(right)) {
        const { container, unmount } = await openConsole(address, { change: (path, body) => (path === asked ? wrong : body) });
        const shown = container.textContent ?? "";
        expect(shown, `${asked}: ${what}`).not.toContain(en.common.pageFailed);
        expect(shown, `${asked}: ${what}`).not.toMatch(/\bNaN\b|\[object Object\]|\bundefined\b|Invalid Date/);
        expect(container.querySelector("h1"), `${asked}: ${what}`).not.toBeNull();
        unmount();
      }
    }
    complaints.mockRestore();
  });

  it("survives many wrong fields at once", { timeout: 60_000 }, async () => {
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

  it.each(pages)("$address says what failed and what still works when the server cannot be reached", async ({ address, asks }) => {
    const failing = asks.filter((a) => a !== "/me");
    const { container, unmount } = await openConsole(address, {
      reply: ({ path }) => (failing.includes(path) ? { status: 503, body: { detail: "the database cannot be reached" } } : undefined),
    });
    expect(container.textContent).toContain("the database cannot be reached");
    expect(screen.getByRole("main")).toBeTruthy();
    unmount();
  });

  it.each([...pages.map((p) => p.address), "/login", "/setup?token=good"])("%s has no text outside the catalogue", async (address) => {
    const who = address === "/login" ? "out" : address.startsWith("/setup") ? "setup" : "in";
    const { container, unmount } = await openConsole(address, { messages: pseudo, who });
    const known = JSON.stringify(data) + JSON.stringify(answer("GET", "/runs", new URLSearchParams(), {}, ""));
    const texts = [...container.querySelectorAll("button, h1, h2, label, legend, dt, th, summary, [role=tab], [role=columnheader]")];
    const foreign = texts
      .map((e) => e.textContent?.trim() ?? "")
      .filter((text) => /[a-z]{3}/i.test(text) && !text.includes("⟦") && !known.includes(JSON.stringify(text).slice(1, -1)));
    expect(foreign).toEqual([]);
    unmount();
  });
});

describe("the frame", () => {
  it("sends who is not signed in to the log-in, and back to where they wanted to go", async () => {
    const { router, unmount } = await openConsole("/runs?status=failed", { who: "out" });
    expect(router.state.location.pathname).toBe("/login");
    expect(router.state.location.search).toEqual({ to: "/runs?status=failed" });
    unmount();
  });

  it("sends to the set-up while there is no administrator", async () => {
    const { router, unmount } = await openConsole("/", { who: "setup" });
    expect(router.state.location.pathname).toBe("/setup");
    expect(screen.getByText(en.setup.linkNeeded)).toBeTruthy();
    unmount();
  });

  it("shows only what the rights allow", async () => {
    const { unmount } = await openConsole("/", { change: (path, body) => (path === "/me" ? { ...data.me, scopes: ["read"] } : body) });
    expect(screen.queryAllByText(en.nav.keys)).toEqual([]);
    unmount();
  });

  it("says that there is nothing at an unknown address", async () => {
    const { unmount } = await openConsole("/no/such/page");
    expect(within(screen.getByRole("main")).getByRole("heading", { name: en.common.notFound })).toBeTruthy();
    unmount();
  });
});
