/** The reads of the console, as options for TanStack Query. Lists that change by themselves are asked again. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { ApiError, request, segment } from "./client";
import { decode } from "./decode";
import {
  agentStatus,
  apiKey,
  approval,
  me,
  message,
  model,
  modelHealth,
  modelRoute,
  overview,
  page,
  run,
  service,
  setupState,
  step,
} from "./models";

const SLOW = 10_000;
const QUICK = 3_000;

/** The signed-in person, or null. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  staleTime: 60_000,
  queryFn: async ({ signal }) => {
    try {
      return decode(me, await request("GET", "/me", { signal }));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
});

export const setupQuery = queryOptions({
  queryKey: ["setup"],
  queryFn: async ({ signal }) => decode(setupState, await request("GET", "/setup", { signal })),
});

export const overviewQuery = queryOptions({
  queryKey: ["overview"],
  refetchInterval: QUICK,
  queryFn: async ({ signal }) => decode(overview, await request("GET", "/overview", { signal })),
});

export const servicesQuery = queryOptions({
  queryKey: ["services"],
  refetchInterval: QUICK,
  queryFn: async ({ signal }) => decode(page(service), await request("GET", "/services", { signal })).items,
});

export const agentsQuery = queryOptions({
  queryKey: ["agents"],
  refetchInterval: SLOW,
  queryFn: async ({ signal }) => decode(page(agentStatus), await request("GET", "/agents", { signal })).items,
});

export const agentQuery = (name: string) =>
  queryOptions({
    queryKey: ["agents", name],
    queryFn: async ({ signal }) => decode(agentStatus, await request("GET", `/agents/${segment(name)}`, { signal })),
  });

export const modelsQuery = queryOptions({
  queryKey: ["models"],
  refetchInterval: SLOW,
  queryFn: async ({ signal }) => decode(page(model), await request("GET", "/models", { signal })).items,
});

export const modelHealthQuery = queryOptions({
  queryKey: ["models", "health"],
  refetchInterval: QUICK,
  queryFn: async ({ signal }) => decode(page(modelHealth), await request("GET", "/models/health", { signal })).items,
});

export const modelRoutesQuery = queryOptions({
  queryKey: ["models", "routes"],
  refetchInterval: SLOW,
  queryFn: async ({ signal }) => decode(page(modelRoute), await request("GET", "/models/routes", { signal })).items,
});

export const keysQuery = queryOptions({
  queryKey: ["keys"],
  queryFn: async ({ signal }) => decode(page(apiKey), await request("GET", "/keys", { signal })).items,
});

export const pendingApprovalsQuery = queryOptions({
  queryKey: ["approvals", "pending"],
  refetchInterval: QUICK,
  queryFn: async ({ signal }) =>
    decode(page(approval), await request("GET", "/approvals", { query: { status: "pending" }, signal })).items,
});

export interface RunFilter {
  agent?: string;
  status?: string;
  parent?: string;
}

const PAGE = 100;

export const runsQuery = (filter: RunFilter) =>
  infiniteQueryOptions({
    queryKey: ["runs", "list", filter],
    initialPageParam: "",
    queryFn: async ({ pageParam, signal }) => {
      const query = { ...filter, before: pageParam, limit: PAGE };
      return decode(page(run), await request("GET", "/runs", { query, signal }));
    },
    getNextPageParam: (last) => last.next || undefined,
  });

export const recentRunsQuery = queryOptions({
  queryKey: ["runs", "recent"],
  queryFn: async ({ signal }) =>
    decode(page(run), await request("GET", "/runs", { query: { limit: 10 }, signal })).items,
});

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ["runs", "one", id],
    queryFn: async ({ signal }) => decode(run, await request("GET", `/runs/${segment(id)}`, { signal })),
  });

export const stepsQuery = (id: string) =>
  queryOptions({
    queryKey: ["runs", "steps", id],
    queryFn: async ({ signal }) =>
      decode(page(step), await request("GET", `/runs/${segment(id)}/steps`, { signal })).items,
  });

export const messagesQuery = (id: string) =>
  queryOptions({
    queryKey: ["runs", "messages", id],
    queryFn: async ({ signal }) =>
      decode(page(message), await request("GET", `/runs/${segment(id)}/messages`, { signal })).items,
  });

export const runApprovalsQuery = (id: string) =>
  queryOptions({
    queryKey: ["approvals", "run", id],
    queryFn: async ({ signal }) =>
      decode(page(approval), await request("GET", "/approvals", { query: { run: id }, signal })).items,
  });
