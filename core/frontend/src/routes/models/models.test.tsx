import { fireEvent, screen, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import * as data from "../../../dev/fixtures";
import en from "../../messages/en";
import { type Call, openConsole, settle } from "../../test/console";
import { mutate, paths, wrongs } from "../../test/mutations";

const t = en.models;
const tested = (calls: Call[]) => calls.filter((c) => c.path === "/models/test").map((c) => c.body);
const pick = (n: number, model: string) =>
  fireEvent.change(screen.getByLabelText(`Model ${n}`), { target: { value: model } });
const click = async (name: string | RegExp) => {
  fireEvent.click(screen.getByRole("button", { name }));
  await settle();
};
const cards = () => within(screen.getByRole("list", { name: t.answers })).getAllByRole("heading", { level: 3 });
const card = (at: number) => cards()[at]?.parentElement as HTMLElement;
const row = (table: string, name: string) =>
  within(screen.getByRole("table", { name: table }))
    .getAllByRole("row")
    .find((r) => r.textContent?.includes(name)) as HTMLElement;

describe("the targets", () => {
  it("show health in words, the next probe, calls, flight, prices, the last error and their routes", async () => {
    await openConsole("/models");
    const text = row(t.targets, "openai/gpt").textContent ?? "";
    for (const part of ["Unreachable", "Next probe", "413 ms", "1,204", "17 failed", "3 of 64", "2 waiting"]) {
      expect(text).toContain(part);
    }
    for (const part of ["$2.50 in", "$10.00 out", "$18.42", "no route to host", "default, fast"])
      expect(text).toContain(part);
  });

  it("that nobody called yet are not called healthy, and have no latency", async () => {
    await openConsole("/models");
    const text = row(t.targets, "local/default").textContent ?? "";
    expect(text).toContain(en.status.untried);
    expect(text).toContain("First word—");
    expect(text).not.toContain(t.nextProbe);
  });

  it("with a state or figures that the console does not know say so", async () => {
    await openConsole("/models", {
      change: (path, body) =>
        path === "/models/health" ? { items: [{ target: "x/y", state: "asleep", calls: "many" }] } : body,
    });
    const text = row(t.targets, "x/y").textContent ?? "";
    expect(text).toContain(en.status.unknown);
    expect(text).toContain("Calls—");
    expect(text).toContain("— of —");
    expect(text).toContain("— in— out");
  });

  it("stay when they cannot be refreshed, and say how old they are", async () => {
    let fail = false;
    const { queries } = await openConsole("/models", {
      reply: ({ path }) =>
        fail && path === "/models/health" ? { status: 503, body: { detail: "the server is stopping" } } : undefined,
    });
    fail = true;
    await queries.refetchQueries({ queryKey: ["models", "health"] });
    await settle();
    expect(screen.getByText(/Cannot be refreshed: the server is stopping/)).toBeTruthy();
    expect(row(t.targets, "openai/gpt")).toBeTruthy();
  });
});

describe("the routes", () => {
  it("show how they choose, the shares of their targets, fallback, cache and guardrails", async () => {
    await openConsole("/models");
    const text = row(t.routes, "By weight").textContent ?? "";
    for (const part of ["90% of the calls", "10% of the calls", "overload, timeout, error", t.semantic, t.sticky]) {
      expect(text).toContain(part);
    }
    for (const part of ["after 800 ms", "no-secrets, no-injection"]) expect(text).toContain(part);
    const other = row(t.routes, t.least_latency).textContent ?? "";
    expect(other).not.toContain("of the calls");
    expect(other).toContain(t.never);
  });

  it("and targets and models say what is missing where there are none", async () => {
    await openConsole("/models", {
      change: (path, body) => (path.startsWith("/models") ? { items: [], next: "" } : body),
    });
    for (const text of [t.noTargets, t.noRoutes, t.noModels]) expect(screen.getByText(text)).toBeTruthy();
  });
});

describe("the playground", () => {
  const ask = async (reply?: (model: string) => { status: number; body: unknown } | undefined) => {
    const console = await openConsole("/models", {
      reply: ({ path, body }) => (path === "/models/test" ? reply?.((body as { model: string }).model) : undefined),
    });
    await click(t.addModel);
    pick(1, "local/default");
    pick(2, "openai/gpt");
    return console;
  };

  it("asks the same of every chosen model and shows the answers side by side", async () => {
    const { calls } = await ask();
    fireEvent.change(screen.getByLabelText(t.prompt), { target: { value: "Count to three" } });
    fireEvent.change(screen.getByLabelText(t.maxTokens), { target: { value: "40" } });
    await click("Ask 2 models");
    const rest = { prompt: "Count to three", max_tokens: 40 };
    expect(tested(calls)).toEqual([
      { model: "local/default", ...rest },
      { model: "openai/gpt", ...rest },
    ]);
    expect(cards().map((c) => c.textContent)).toEqual(["local/default", "openai/gpt"]);
    expect(card(0).textContent).toContain("Hello from local/default!");
    expect(card(0).textContent).not.toContain(t.answeredBy);
    const other = card(1).textContent ?? "";
    for (const part of ["Hello from openai/gpt!", "140 ms", "613 ms", "14 in, 6 out", "$0.0012", "Tries2"]) {
      expect(other).toContain(part);
    }
    expect(other).toContain(`${t.answeredBy}local/default`);
    expect(within(card(1)).getByText("no route to host", { exact: false })).toBeTruthy();
    expect(screen.getByText("2 of 2 finished")).toBeTruthy();
  });

  it("refreshes the targets afterwards, because the calls count", async () => {
    const { calls } = await ask();
    const before = calls.filter((c) => c.path === "/models/health").length;
    await click("Ask 2 models");
    expect(calls.filter((c) => c.path === "/models/health").length).toBe(before + 1);
  });

  it("shows a model's error in its own card and the others' answers all the same", async () => {
    await ask((model) =>
      model === "openai/gpt" ? { status: 429, body: { detail: "the budget of this month is used up" } } : undefined,
    );
    await click("Ask 2 models");
    expect(within(card(0)).getByText("Hello from local/default!")).toBeTruthy();
    expect(within(card(1)).getByRole("alert").textContent).toBe("the budget of this month is used up");
  });

  it("takes up to four models, and fewer again", async () => {
    await openConsole("/models");
    expect(screen.queryByRole("button", { name: "Remove model 1" })).toBeNull();
    for (let n = 2; n <= 4; n++) await click(t.addModel);
    expect(screen.queryByRole("button", { name: t.addModel })).toBeNull();
    expect((screen.getByLabelText("Model 1") as HTMLSelectElement).value).toBe("default");
    await click("Remove model 1");
    expect(screen.getByRole("button", { name: "Ask 3 models" })).toBeTruthy();
    expect((screen.getByLabelText("Model 1") as HTMLSelectElement).value).not.toBe("default");
  });

  it("offers neither agents nor servers that could not say what they have", async () => {
    await openConsole("/models", {
      change: (path, body) =>
        path !== "/models"
          ? body
          : { items: [...data.models, { id: "agent/coder", kind: "agent" }, { id: "vllm/*", kind: "openai" }, {}] },
    });
    const options = within(screen.getByLabelText("Model 1")).getAllByRole("option");
    expect(options.map((o) => o.textContent)).toEqual(["default", "local/default", "openai/gpt"]);
  });

  it("does not ask without a prompt or with an impossible length", async () => {
    const { calls } = await openConsole("/models");
    const button = () => screen.getByRole("button", { name: "Ask the model" });
    for (const [label, value] of [
      [t.prompt, "  "],
      [t.maxTokens, "0"],
      [t.maxTokens, "8193"],
      [t.maxTokens, "1.5"],
    ] as const) {
      const field = screen.getByLabelText(label) as HTMLInputElement;
      const before = field.value;
      fireEvent.change(field, { target: { value } });
      expect(button().hasAttribute("disabled"), `${label}: ${value}`).toBe(true);
      fireEvent.change(field, { target: { value: before } });
    }
    expect(button().hasAttribute("disabled")).toBe(false);
    expect(tested(calls)).toEqual([]);
  });

  describe("while a model takes its time", () => {
    /** A call that ends only when it is ended. */
    const hang = () => {
      const through = globalThis.fetch;
      const signals: AbortSignal[] = [];
      vi.stubGlobal("fetch", (input: string, init: RequestInit) => {
        if (!input.endsWith("/models/test")) return through(input, init);
        const signal = init.signal as AbortSignal;
        signals.push(signal);
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      });
      return signals;
    };

    it("says so, asks nothing twice, and stops when told", async () => {
      await openConsole("/models");
      const signals = hang();
      await click("Ask the model");
      expect(screen.getByText(t.asking)).toBeTruthy();
      expect(screen.getByText("0 of 1 finished")).toBeTruthy();
      fireEvent.submit(screen.getByLabelText(t.prompt).closest("form") as HTMLFormElement);
      expect(signals.length).toBe(1);
      await click(t.stop);
      expect(signals[0]?.aborted).toBe(true);
      expect(screen.getByText(t.stopped)).toBeTruthy();
    });

    it("ends the call when one leaves the page", async () => {
      const { router } = await openConsole("/models");
      const signals = hang();
      await click("Ask the model");
      await router.navigate({ to: "/services" });
      await settle();
      expect(signals[0]?.aborted).toBe(true);
    });
  });

  it("shows a card, whatever is wrong with one field of an answer", { timeout: 30_000 }, async () => {
    const right = data.modelTest("default");
    for (const [kind, wrong] of Object.entries(wrongs)) {
      for (const path of paths(right)) {
        const what = `${kind} ${path.join(".")}`;
        const { container, unmount } = await openConsole("/models", {
          reply: (call) =>
            call.path === "/models/test" ? { status: 200, body: mutate(right, path, wrong) ?? null } : undefined,
        });
        await click("Ask the model");
        expect(cards().length, what).toBe(1);
        expect(container.textContent, what).not.toContain(en.common.pageFailed);
        expect(card(0).textContent, what).not.toMatch(/\bNaN\b|\[object Object\]|\bundefined\b|Invalid Date/);
        unmount();
      }
    }
  });
});
