/** A run with everything that belongs to it, live while it is not over. */
import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { ApiError } from "../api/client";
import type { Approval, Message, Run, Step } from "../api/models";
import { messagesQuery, runApprovalsQuery, runQuery, stepsQuery } from "../api/queries";
import { followRun, type StreamStatus } from "../api/stream";
import type { Partial } from "./run-state";
import { RunStore } from "./run-store";
import { isFinal } from "./waterfall";

export interface LiveRun {
  run: Run | undefined;
  messages: Message[];
  steps: Step[];
  approvals: Approval[];
  partial: Partial | null;
  /** State of the event stream; "ended" when there is none because the run is over. */
  stream: StreamStatus;
  streamError: ApiError | null;
  error: unknown;
  retry: () => void;
}

/** What the snapshot and the stream know, by key, in order of the key. The stream is the newer one. */
function merge<T>(snapshot: T[], live: Record<string | number, T>, key: (item: T) => string | number | null): T[] {
  const all = new Map<string | number, T>();
  for (const item of snapshot) all.set(key(item) ?? `?${all.size}`, item);
  for (const item of Object.values(live)) all.set(key(item) ?? `?${all.size}`, item);
  return [...all.entries()]
    .sort(([a], [b]) => (typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : 1))
    .map(([, item]) => item);
}

export function useRun(id: string): LiveRun {
  const client = useQueryClient();
  // The stream does not tell every change of a wait, so the run itself is asked for now and then.
  const run = useQuery({
    ...runQuery(id),
    refetchInterval: ({ state }) => (state.data !== undefined && !isFinal(state.data.status) ? 3_000 : false),
  });
  const messages = useQuery(messagesQuery(id));
  const steps = useQuery(stepsQuery(id));
  const approvals = useQuery(runApprovalsQuery(id));
  // biome-ignore lint/correctness/useExhaustiveDependencies: another run needs another store
  const store = useMemo(() => new RunStore(), [id]);
  const { state, runAt } = useSyncExternalStore(store.subscribe, store.get);
  const [stream, setStream] = useState<StreamStatus>("ended");
  const [streamError, setStreamError] = useState<ApiError | null>(null);

  const active = run.data !== undefined && !isFinal(run.data.status);
  useEffect(() => {
    if (!active) return;
    const abort = new AbortController();
    setStreamError(null);
    void followRun({
      run: id,
      last: () => store.last(),
      onEvent: (event) => store.apply(event),
      onStatus: setStream,
      onError: setStreamError,
      isOver: async () => isFinal((await client.fetchQuery({ ...runQuery(id), staleTime: 0 })).status),
      signal: abort.signal,
    }).then(() => refreshRun(client, id));
    return () => {
      abort.abort();
      setStream("ended");
    };
  }, [active, client, id, store]);

  // Lists elsewhere follow what happens here, without asking at every event. No event tells about a step that waits.
  const status = state.run?.status;
  const asked = Object.keys(state.approvals).length;
  useEffect(() => {
    if (status === undefined && asked === 0) return;
    void client.invalidateQueries({ queryKey: stepsQuery(id).queryKey });
    void client.invalidateQueries({ queryKey: ["approvals", "pending"] });
    void client.invalidateQueries({ queryKey: ["runs", "recent"] });
  }, [client, id, status, asked]);

  return useMemo(
    () => ({
      run: state.run !== null && runAt >= run.dataUpdatedAt ? state.run : (run.data ?? state.run ?? undefined),
      messages: merge(messages.data ?? [], state.messages, (m) => m.index),
      steps: merge(steps.data ?? [], state.steps, (s) => s.index),
      approvals: merge(approvals.data ?? [], newer(state.approvals, approvals.data ?? []), (a) => a.id),
      partial: state.partial,
      stream,
      streamError,
      error: run.error,
      retry: () => void run.refetch(),
    }),
    [state, runAt, run, messages.data, steps.data, approvals.data, stream, streamError],
  );
}

/** A decision that was just made here is known before the stream tells it: an open approval never replaces a decided one. */
function newer(live: Record<string, Approval>, known: Approval[]): Record<string, Approval> {
  const decided = new Set(known.filter((a) => a.status !== "pending").map((a) => a.id));
  return Object.fromEntries(Object.entries(live).filter(([id, a]) => a.status !== "pending" || !decided.has(id)));
}

/** Asks again for everything about a run. */
export async function refreshRun(client: QueryClient, id: string): Promise<void> {
  await Promise.all([
    client.invalidateQueries({ queryKey: runQuery(id).queryKey }),
    client.invalidateQueries({ queryKey: stepsQuery(id).queryKey }),
    client.invalidateQueries({ queryKey: messagesQuery(id).queryKey }),
    client.invalidateQueries({ queryKey: ["approvals"] }),
  ]);
}
