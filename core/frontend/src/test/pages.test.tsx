import { screen, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { answer } from "../../dev/answers";
import * as data from "../../dev/fixtures";
import en from "../messages/en";
import pseudo from "../messages/pseudo";
import { openConsole } from "./console";
import { pages } from "./pages";

describe("every page", () => {
  it.each(pages)("$address shows its title", async ({ address, title }) => {
    const { unmount } = await openConsole(address);
    const main = within(screen.getByRole("main"));
    expect(main.getByRole("heading", { level: 1, name: title })).toBeTruthy();
    unmount();
  });

  it.each(pages)(
    "$address says what failed and what still works when the server cannot be reached",
    async ({ address, asks }) => {
      const failing = asks.filter((a) => a !== "/me");
      const { container, unmount } = await openConsole(address, {
        reply: ({ path }) =>
          failing.includes(path) ? { status: 503, body: { detail: "the database cannot be reached" } } : undefined,
      });
      expect(container.textContent).toContain("the database cannot be reached");
      expect(screen.getByRole("main")).toBeTruthy();
      unmount();
    },
  );

  it.each([...pages.map((p) => p.address), "/login", "/setup?token=good"])(
    "%s has no text outside the catalogue",
    async (address) => {
      const who = address === "/login" ? "out" : address.startsWith("/setup") ? "setup" : "in";
      const { container, unmount } = await openConsole(address, { messages: pseudo, who });
      const known = JSON.stringify(data) + JSON.stringify(answer("GET", "/runs", new URLSearchParams(), {}, ""));
      const texts = [
        ...container.querySelectorAll(
          "button, h1, h2, label, legend, dt, th, summary, [role=tab], [role=columnheader]",
        ),
      ];
      const foreign = texts
        .map((e) => e.textContent?.trim() ?? "")
        .filter(
          (text) => /[a-z]{3}/i.test(text) && !text.includes("⟦") && !known.includes(JSON.stringify(text).slice(1, -1)),
        );
      expect(foreign).toEqual([]);
      unmount();
    },
  );
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
    const { unmount } = await openConsole("/", {
      change: (path, body) => (path === "/me" ? { ...data.me, scopes: ["read"] } : body),
    });
    expect(screen.queryAllByText(en.nav.keys)).toEqual([]);
    unmount();
  });

  it("says that there is nothing at an unknown address", async () => {
    const { unmount } = await openConsole("/no/such/page");
    expect(within(screen.getByRole("main")).getByRole("heading", { name: en.common.notFound })).toBeTruthy();
    unmount();
  });
});
