/** Cancel, resume and message a run; the answer is the run's new state. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { cancelRun, resumeRun, sendMessage } from "../api/actions";
import type { Run } from "../api/models";
import { runQuery } from "../api/queries";

export function useRunActions(id: string) {
  const client = useQueryClient();
  const onSuccess = (run: Run) => {
    client.setQueryData(runQuery(id).queryKey, run);
    void client.invalidateQueries({ queryKey: ["runs", "list"] });
  };
  const cancel = useMutation({ mutationFn: () => cancelRun(id), onSuccess });
  const resume = useMutation({ mutationFn: () => resumeRun(id), onSuccess });
  const send = useMutation({ mutationFn: (text: string) => sendMessage(id, text), onSuccess });
  return { cancel, resume, send, error: cancel.error ?? resume.error ?? send.error };
}
