/** Lays a run's steps out as rows of a waterfall: a tree by delegation, bars by time. */
import type { Run, Step } from "../api/models";

export interface Row {
  key: string;
  depth: number;
  /** The run that the row belongs to; the row of the run itself has no step. */
  run: string;
  step: Step | null;
  status: string;
  /** Milliseconds since the run began; null = not started. */
  from: number | null;
  to: number | null;
  children: "none" | "open" | "closed";
}

export const isFinal = (status: string): boolean =>
  status === "succeeded" || status === "failed" || status === "cancelled";

const ms = (time: string | null): number | null => (time === null ? null : Date.parse(time));

export interface Waterfall {
  rows: Row[];
  /** Length of the time axis in milliseconds, at least 1. */
  length: number;
}

/** `children` holds the steps of sub-agents' runs that were opened, by run id. */
export function waterfall(run: Run, steps: Step[], children: Map<string, Step[]>, now: number): Waterfall {
  const begin = ms(run.started_at) ?? ms(run.created_at) ?? firstStart(steps) ?? now;
  const end = isFinal(run.status) ? (ms(run.finished_at) ?? lastEnd(steps) ?? begin) : now;
  const length = Math.max(1, end - begin, (lastEnd(steps) ?? begin) - begin);
  const rows: Row[] = [
    { key: run.id, depth: 0, run: run.id, step: null, status: run.status, from: 0, to: length, children: "open" },
  ];
  const seen = new Set([run.id]);
  const add = (id: string, list: Step[], depth: number) => {
    list.forEach((step, i) => {
      const from = ms(step.started_at);
      const until = ms(step.finished_at) ?? (isFinal(step.status) ? from : begin + length);
      const nested = step.child_run === "" ? undefined : children.get(step.child_run);
      const open = nested !== undefined && !seen.has(step.child_run);
      rows.push({
        key: `${id}:${step.index ?? `?${i}`}`,
        depth,
        run: id,
        step,
        status: step.status,
        from: from === null ? null : clamp(from - begin, length),
        to: from === null || until === null ? null : clamp(Math.max(from, until) - begin, length),
        children: step.child_run === "" ? "none" : open ? "open" : "closed",
      });
      if (open) {
        seen.add(step.child_run);
        add(step.child_run, nested, depth + 1);
      }
    });
  };
  add(run.id, steps, 1);
  return { rows, length };
}

const clamp = (value: number, length: number): number => Math.min(Math.max(value, 0), length);

function firstStart(steps: Step[]): number | null {
  const times = steps.map((s) => ms(s.started_at)).filter((t) => t !== null);
  return times.length === 0 ? null : Math.min(...times);
}

function lastEnd(steps: Step[]): number | null {
  const times = steps.map((s) => ms(s.finished_at)).filter((t) => t !== null);
  return times.length === 0 ? null : Math.max(...times);
}

/** Round tick marks for an axis of this length: at most `count`, in milliseconds. */
export function ticks(length: number, count = 4): number[] {
  const rough = length / count;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((m) => m * magnitude).find((s) => s >= rough) ?? rough;
  const marks: number[] = [];
  for (let at = 0; at < length * 0.97; at += size) marks.push(at);
  return marks;
}

/** Indexes that a reference such as "messages/0-7", "messages/9" or "messages/8#call_1" names. */
export function referenced(ref: string): { first: number; last: number; call: string } | null {
  const match = /^messages\/(\d{1,9})(?:-(\d{1,9}))?(?:#(.*))?$/.exec(ref);
  if (match === null) return null;
  const first = Number(match[1]);
  return { first, last: match[2] === undefined ? first : Number(match[2]), call: match[3] ?? "" };
}
