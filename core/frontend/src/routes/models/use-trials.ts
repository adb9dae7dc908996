import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { type Trial, testModel } from "../../api/actions";
import type { ModelTest } from "../../api/models";
import { modelHealthQuery } from "../../api/queries";

type Outcome =
  | { state: "asking" }
  | { state: "answered"; answer: ModelTest }
  | { state: "failed"; error: unknown }
  | { state: "stopped" };

/** One model's turn; `model` is what was asked for. */
export type Turn = { model: string } & Outcome;

/** Asks several models at once. A new question, stop() and leaving the page end what still runs. */
export function useTrials() {
  const client = useQueryClient();
  const [turns, setTurns] = useState<Turn[]>([]);
  const current = useRef<AbortController>(null);
  useEffect(() => () => current.current?.abort(), []);

  const start = async (trials: Trial[]) => {
    current.current?.abort();
    const own = new AbortController();
    current.current = own;
    setTurns(trials.map(({ model }) => ({ model, state: "asking" })));
    const finish = (at: number, outcome: Outcome) => {
      if (current.current !== own) return; // another question stands there by now
      setTurns((list) => list.map((turn, i) => (i === at ? { model: turn.model, ...outcome } : turn)));
    };
    await Promise.all(
      trials.map((trial, at) =>
        testModel(trial, own.signal).then(
          (answer) => finish(at, { state: "answered", answer }),
          (error: unknown) => finish(at, own.signal.aborted ? { state: "stopped" } : { state: "failed", error }),
        ),
      ),
    );
    await client.invalidateQueries({ queryKey: modelHealthQuery.queryKey });
  };
  return { turns, start, stop: () => current.current?.abort() };
}
