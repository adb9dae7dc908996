import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { act, render } from "@testing-library/react";
import { IntlProvider } from "use-intl";
import { vi } from "vitest";
import { answer } from "../../dev/answers";
import type { Messages } from "../messages/en";
import en from "../messages/en";
import { createConsoleRouter } from "../router";

export interface Call {
  method: string;
  path: string;
  body: unknown;
  headers: Headers;
}

interface Options {
  /** Who is signed in: in (default), out or setup. */
  who?: "in" | "out" | "setup";
  /** Changes an answer before it is sent; `path` is without /api/v1. */
  change?: (path: string, body: unknown, method: string) => unknown;
  /** Answers instead, where it returns something. */
  reply?: (call: Call) => { status: number; body: unknown } | undefined;
  messages?: Messages;
}

/** Renders the whole console at an address, with the API answered from the fixtures. */
export async function openConsole(address: string, options: Options = {}) {
  const calls: Call[] = [];
  vi.stubGlobal("fetch", (input: string, init: RequestInit = {}) => {
    const url = new URL(input, "http://console");
    const path = url.pathname.slice("/api/v1".length);
    const method = init.method ?? "GET";
    const body = typeof init.body === "string" ? JSON.parse(init.body) : {};
    calls.push({ method, path, body, headers: new Headers(init.headers) });
    if (path.endsWith("/events")) return new Promise(() => {}); // a stream on which nothing happens
    const own = options.reply?.({ method, path, body, headers: new Headers(init.headers) });
    const reply = own ?? answer(method, path, url.searchParams, body, `mock=${options.who ?? "in"}`);
    const sent = options.change ? options.change(path, reply.body, method) : reply.body;
    return Promise.resolve(new Response(JSON.stringify(sent ?? {}), { status: reply.status ?? 200 }));
  });
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false, refetchInterval: false } } });
  const router = createConsoleRouter(queries, createMemoryHistory({ initialEntries: [address] }));
  const view = render(
    <IntlProvider
      locale="en"
      messages={options.messages ?? en}
      onError={(error) => {
        throw error;
      }}
    >
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </IntlProvider>,
  );
  await act(() => router.load());
  await settle();
  return { ...view, router, calls, queries };
}

/** Lets answers arrive and effects run. */
export async function settle(turns = 4): Promise<void> {
  for (let i = 0; i < turns; i++) await act(() => new Promise((resolve) => setTimeout(resolve)));
}
