import { ChevronRight, RotateCcw, Wrench } from "lucide-react";
import { memo } from "react";
import { useTranslations } from "use-intl";
import type { Run } from "../../api/models";
import { ApprovalCard } from "../../components/approval-card";
import { Code } from "../../components/code";
import { Markdown } from "../../components/markdown";
import { RunLink } from "../../components/page-link";
import { Status } from "../../components/status";
import { between, duration, orDash } from "../../lib/format";
import { filesOf } from "../../lib/sent-files";
import { type Item, pretty, summary } from "../../lib/transcript";
import { useStart } from "./use-start";

export interface Task {
  text: string;
  first: boolean;
}

interface Props {
  item: Item;
  run: Run;
  task: Task | null;
}

export function ItemView({ item, run, task }: Props) {
  switch (item.kind) {
    case "user":
      return <UserMessage text={item.text} run={run.id} />;
    case "assistant":
      return <Answer item={item} run={run} task={task} />;
    case "tool":
      return <Tool item={item} run={run.id} />;
    case "approval":
      return <ApprovalCard approval={item.approval} />;
  }
}

function UserMessage({ text, run }: { text: string; run: string }) {
  const t = useTranslations("chat");
  return (
    <article aria-label={t("you")} className="flex max-w-[85%] flex-col items-end self-end">
      <p className="whitespace-pre-wrap rounded-lg bg-raised px-3 py-2 [overflow-wrap:anywhere]">{text}</p>
      <RunLink id={run} className="mt-0.5 text-xs text-ink-2">
        {t("openRun")}
      </RunLink>
    </article>
  );
}

function Answer({ item, run, task }: { item: Item & { kind: "assistant" }; run: Run; task: Props["task"] }) {
  return (
    <article aria-label={orDash(run.agent)} className="min-w-0">
      <Markdown text={item.text} live={item.live} />
      {!item.live && <AnswerActions step={item.step} run={run} task={task} />}
    </article>
  );
}

function AnswerActions({ step, run, task }: { step: number | null; run: Run; task: Props["task"] }) {
  const t = useTranslations("chat");
  const start = useStart();
  const attached = Boolean(run.metadata.attachments);
  const files = filesOf(run.id);
  const lost = attached && files === undefined;
  return (
    <div className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-ink-2">
      <RunLink id={run.id} step={step}>
        {step === null ? t("openRun") : t("openStep")}
      </RunLink>
      {task !== null && run.agent !== "" && (
        <button
          type="button"
          disabled={start.isPending || lost}
          title={lost ? t("attachAgain") : undefined}
          onClick={() =>
            start.mutate({ agent: run.agent, input: task.text, files: files ?? [], key: crypto.randomUUID() })
          }
          className="flex items-center gap-1 rounded hover:text-ink hover:underline disabled:cursor-not-allowed disabled:no-underline"
        >
          <RotateCcw size={12} aria-hidden />
          {task.first ? t("regenerate") : t("regenerateLater")}
        </button>
      )}
      {lost && <span>{t("attachAgain")}</span>}
      {start.error !== null && <span className="text-bad">{start.error.message}</span>}
    </div>
  );
}

/** A tool call: one line, which opens to what went in and what came out. */
const Tool = memo(function Tool({ item, run }: { item: Item & { kind: "tool" }; run: string }) {
  const t = useTranslations("chat");
  const { call, result, step, approval } = item;
  const status = step?.status ?? (result === null ? "pending" : result.is_error ? "failed" : "succeeded");
  return (
    <div className="flex min-w-0 flex-col gap-2">
      <details className="group min-w-0 rounded-lg border border-line bg-surface">
        <summary className="flex list-none items-center gap-2 rounded-lg px-2.5 py-1.5 hover:bg-raised [&::-webkit-details-marker]:hidden">
          <ChevronRight size={14} aria-hidden className="shrink-0 text-ink-2 group-open:rotate-90" />
          <Wrench size={14} aria-hidden className="shrink-0 text-ink-2" />
          <span className="shrink-0 font-mono text-sm">{orDash(call.name)}</span>
          <span className="min-w-0 flex-1 truncate text-sm text-ink-2">{summary(call.arguments)}</span>
          <span className="num shrink-0 text-sm text-ink-2">
            {step && duration(between(step.started_at, step.finished_at))}
          </span>
          <Status value={status} className="shrink-0 max-sm:[&>svg]:mr-0" />
        </summary>
        <div className="flex flex-col gap-2 border-t border-line p-2.5">
          <p className="text-sm font-semibold">{t("toolArguments")}</p>
          <Code text={pretty(step?.arguments ?? call.arguments)} label={t("toolArguments")} />
          <p className="text-sm font-semibold">{t("toolResult")}</p>
          {result === null ? (
            <p className="text-ink-2">{t("noResult")}</p>
          ) : (
            <Code text={result.text} label={t("toolResult")} className={result.is_error ? "text-bad" : ""} />
          )}
          <RunLink id={run} step={step?.index} className="text-sm text-accent">
            {t("openStep")}
          </RunLink>
        </div>
      </details>
      {approval && <ApprovalCard approval={approval} />}
    </div>
  );
});
