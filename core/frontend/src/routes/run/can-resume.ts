import type { Run } from "../../api/models";

/** A run goes on where it stopped when it failed, was cancelled or waits for a model. */
export function canResume(run: Run): boolean {
  return (
    run.status === "failed" || run.status === "cancelled" || (run.status === "waiting" && run.wait_reason === "model")
  );
}
