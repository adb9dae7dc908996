/** The addresses of the console. Every screen is a chunk of its own (scripts/pack.mjs knows which one to preload). */
import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  type RouterHistory,
  redirect,
} from "@tanstack/react-router";
import { meQuery, setupQuery } from "./api/queries";
import { localPath, parseSearch, searchNumber, searchText, stringifySearch } from "./lib/search";
import { FrameError, FrameNotFound, NotFound, PageError } from "./routes/shell/fallbacks";
import { Shell } from "./routes/shell/shell";

interface Context {
  queries: QueryClient;
}

const root = createRootRouteWithContext<Context>()({
  component: Outlet,
  notFoundComponent: FrameNotFound,
  errorComponent: FrameError,
});

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (s): { to?: string } => ({ to: localPath(s.to) }),
  component: lazyRouteComponent(() => import("./routes/login/page"), "LoginPage"),
});

const setup = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  validateSearch: (s): { token?: string; step?: string; run?: string } => ({
    token: searchText(s.token),
    step: searchText(s.step),
    run: searchText(s.run),
  }),
  component: lazyRouteComponent(() => import("./routes/setup/page"), "SetupPage"),
});

/** Everything that needs somebody signed in. */
const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: Shell,
  errorComponent: FrameError,
  beforeLoad: async ({ context: { queries }, location }) => {
    if ((await queries.ensureQueryData(meQuery)) !== null) return;
    const { needed } = await queries.fetchQuery({ ...setupQuery, staleTime: 0 });
    if (needed) throw redirect({ to: "/setup", search: {} });
    throw redirect({ to: "/login", search: location.href === "/" ? {} : { to: location.href } });
  },
});

const overview = createRoute({
  getParentRoute: () => shell,
  path: "/",
  component: lazyRouteComponent(() => import("./routes/overview/page"), "OverviewPage"),
});
const newChat = createRoute({
  getParentRoute: () => shell,
  path: "/chat",
  validateSearch: (s): { agent?: string } => ({ agent: searchText(s.agent) }),
  component: lazyRouteComponent(() => import("./routes/chat/page"), "NewChatPage"),
});
const chat = createRoute({
  getParentRoute: () => shell,
  path: "/chat/$run",
  component: lazyRouteComponent(() => import("./routes/chat/page"), "ChatPage"),
});
const runs = createRoute({
  getParentRoute: () => shell,
  path: "/runs",
  validateSearch: (s): { agent?: string; status?: string } => ({
    agent: searchText(s.agent),
    status: searchText(s.status),
  }),
  component: lazyRouteComponent(() => import("./routes/runs/page"), "RunsPage"),
});
const run = createRoute({
  getParentRoute: () => shell,
  path: "/runs/$run",
  validateSearch: (s): { step?: number } => ({ step: searchNumber(s.step) }),
  component: lazyRouteComponent(() => import("./routes/run/page"), "RunPage"),
});
const agents = createRoute({
  getParentRoute: () => shell,
  path: "/agents",
  component: lazyRouteComponent(() => import("./routes/agents/page"), "AgentsPage"),
});
const agent = createRoute({
  getParentRoute: () => shell,
  path: "/agents/$name",
  component: lazyRouteComponent(() => import("./routes/agent/page"), "AgentPage"),
});
const models = createRoute({
  getParentRoute: () => shell,
  path: "/models",
  component: lazyRouteComponent(() => import("./routes/models/page"), "ModelsPage"),
});
const services = createRoute({
  getParentRoute: () => shell,
  path: "/services",
  component: lazyRouteComponent(() => import("./routes/services/page"), "ServicesPage"),
});
const keys = createRoute({
  getParentRoute: () => shell,
  path: "/keys",
  component: lazyRouteComponent(() => import("./routes/keys/page"), "KeysPage"),
});
const unknown = createRoute({ getParentRoute: () => shell, path: "$", component: NotFound });

const routeTree = root.addChildren([
  login,
  setup,
  shell.addChildren([overview, newChat, chat, runs, run, agents, agent, models, services, keys, unknown]),
]);

/** `history` is for tests; the browser's own otherwise. */
export function createConsoleRouter(queries: QueryClient, history?: RouterHistory) {
  return createRouter({
    history,
    routeTree,
    context: { queries },
    parseSearch,
    stringifySearch,
    defaultPreload: "intent",
    defaultErrorComponent: PageError,
    defaultNotFoundComponent: NotFound,
    scrollRestoration: false,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
