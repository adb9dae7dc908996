import { LoaderCircle, RotateCcw, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import type { Run } from "../../api/models";
import { Button } from "../../components/button";
import { useNow } from "../../components/time";
import { duration } from "../../lib/format";
import type { LiveRun } from "../../lib/use-run";
import { canResume } from "../run/can-resume";

interface Props {
  live: LiveRun;
  run: Run;
  resume: () => void;
  resuming: boolean;
}

/** The line below the conversation: what the run does or waits for, and how to go on. */
export function RunState({ live, run, resume, resuming }: Props) {
  const t = useTranslations("chat");
  const reconnecting = live.stream === "retrying";
  return (
    <div aria-live="polite" className="flex flex-col gap-2 empty:hidden">
      {(run.status === "queued" || run.status === "running") && live.partial === null && (
        <p className="flex items-center gap-2 text-ink-2">
          <LoaderCircle size={14} aria-hidden className="animate-spin" />
          {t("thinking")}
        </p>
      )}
      {run.status === "waiting" && run.wait_reason === "model" && <Outage run={run} />}
      {run.status === "waiting" && run.wait_reason === "agent" && <p className="text-ink-2">{t("waitingAgent")}</p>}
      {run.status === "failed" && <Trouble title={t("failed")}>{run.error?.message}</Trouble>}
      {run.status === "cancelled" && <p className="text-ink-2">{t("cancelled")}</p>}
      {canResume(run) && (
        <Button className="self-start" busy={resuming} onClick={resume} icon={<RotateCcw size={14} aria-hidden />}>
          {t("resume")}
        </Button>
      )}
      {reconnecting && <p className="text-sm text-warn">{t("reconnecting")}</p>}
      {live.streamError !== null && (
        <p className="text-sm text-warn">{t("streamFailed", { reason: live.streamError.message })}</p>
      )}
    </div>
  );
}

function Trouble({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="flex items-start gap-2 rounded-lg border border-bad p-3">
      <TriangleAlert size={16} aria-hidden className="mt-0.5 shrink-0 text-bad" />
      <div className="min-w-0 [overflow-wrap:anywhere]">
        <p className="font-semibold">{title}</p>
        <p className="text-ink-2">{children}</p>
      </div>
    </div>
  );
}

function Outage({ run }: { run: Run }) {
  const t = useTranslations("chat");
  const now = useNow(true);
  const left = run.wake_at === null ? null : Date.parse(run.wake_at) - now;
  return (
    <div className="rounded-lg border border-warn p-3 [overflow-wrap:anywhere]">
      <p>{t("waitingModel")}</p>
      {run.wait_detail !== "" && <p className="text-ink-2">{run.wait_detail}</p>}
      {left !== null && left > 0 && <p className="num text-sm text-ink-2">{t("nextTry", { span: duration(left) })}</p>}
    </div>
  );
}
