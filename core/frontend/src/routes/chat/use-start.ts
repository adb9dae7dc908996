import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type Attachment, startRun } from "../../api/actions";
import { runQuery } from "../../api/queries";
import { rememberFiles } from "../../lib/sent-files";

/** Starts a run and goes to its conversation. */
export function useStart() {
  const client = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: ({ key, ...start }: { agent: string; input: string; files: Attachment[]; key: string }) =>
      startRun(
        {
          agent: start.agent,
          input: start.input,
          ...(start.files.length > 0 && {
            files: start.files,
            metadata: { attachments: start.files.map((f) => f.name).join(", ") },
          }),
        },
        key,
      ),
    onSuccess: (run, { files }) => {
      rememberFiles(run.id, files);
      client.setQueryData(runQuery(run.id).queryKey, run);
      void client.invalidateQueries({ queryKey: ["runs", "recent"] });
      void navigate({ to: "/chat/$run", params: { run: run.id } });
    },
  });
}
