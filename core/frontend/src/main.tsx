import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { IntlProvider } from "use-intl";
import { ApiError, onUnauthorized } from "./api/client";
import { meQuery } from "./api/queries";
import "./app.css";
import { loadMessages } from "./lib/locale";
import { restoreTheme } from "./lib/theme";
import { createConsoleRouter } from "./router";

restoreTheme();
// Dialogs lock scrolling by a <style> of their own, which needs this response's nonce.
const nonce = document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce;
if (nonce) setNonce(nonce);

const queries = new QueryClient({
  queryCache: new QueryCache(),
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // An error of ours will not go away by asking again; an unreachable server may.
      retry: (failures, error) =>
        failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
});
const router = createConsoleRouter(queries);
onUnauthorized(() => {
  if (queries.getQueryData(meQuery.queryKey) === null) return;
  queries.setQueryData(meQuery.queryKey, null);
  void router.invalidate(); // the shell sends to the log-in, and back afterwards
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
const messages = await loadMessages();
createRoot(root).render(
  <StrictMode>
    <IntlProvider locale="en" messages={messages}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </IntlProvider>
  </StrictMode>,
);
