import { useNavigate } from "@tanstack/react-router";
import { Activity, Download, Plus, Square } from "lucide-react";
import { useEffect, useRef } from "react";
import { useTranslations } from "use-intl";
import type { Run } from "../../api/models";
import { Button, buttonClass } from "../../components/button";
import { InlineError } from "../../components/notice";
import { PageHeader } from "../../components/page";
import { RunLink } from "../../components/page-link";
import { runStatus, Status } from "../../components/status";
import { orDash } from "../../lib/format";
import { exportMarkdown, type Item, transcript } from "../../lib/transcript";
import type { LiveRun } from "../../lib/use-run";
import { useRunActions } from "../../lib/use-run-actions";
import { isFinal } from "../../lib/waterfall";
import { Composer } from "./composer";
import { ItemView, type Task } from "./items";
import { RunState } from "./run-state-line";

interface Props {
  id: string;
  live: LiveRun;
  run: Run;
}

export function Conversation({ id, live, run }: Props) {
  const t = useTranslations("chat");
  const navigate = useNavigate();
  const actions = useRunActions(id);
  const items = transcript(live);
  const over = isFinal(run.status);
  const asks = live.approvals.find((a) => a.status === "pending" && a.reason === "question");
  const end = useFollow(`${items.length} ${live.partial?.text.length ?? 0} ${run.status}`);

  return (
    <>
      <PageHeader
        title={orDash(run.agent)}
        meta={<Status value={runStatus(run)} />}
        actions={
          <>
            {!over && (
              <Button
                look="danger"
                busy={actions.cancel.isPending}
                onClick={() => actions.cancel.mutate()}
                icon={<Square size={12} aria-hidden />}
              >
                {t("stop")}
              </Button>
            )}
            <RunLink id={id} className={buttonClass()}>
              <Activity size={14} aria-hidden />
              {t("run")}
            </RunLink>
            <Button
              onClick={() => download(`${run.agent || "run"}-${id}.md`, exportMarkdown(run, items))}
              icon={<Download size={14} aria-hidden />}
            >
              {t("export")}
            </Button>
            <Button
              onClick={() => void navigate({ to: "/chat", search: { agent: run.agent || undefined } })}
              icon={<Plus size={14} aria-hidden />}
            >
              {t("newChat")}
            </Button>
          </>
        }
      />
      <div
        role="log"
        aria-label={t("conversation")}
        aria-busy={!over}
        className="mx-auto flex w-full max-w-3xl flex-1 flex-col gap-3"
      >
        {run.metadata.attachments && (
          <p className="self-end text-sm text-ink-2 [overflow-wrap:anywhere]">
            {t("attached")}: {run.metadata.attachments}
          </p>
        )}
        {items.map((item, i) => (
          <ItemView key={item.key} item={item} run={run} task={taskOf(items, i, over)} />
        ))}
        <RunState live={live} run={run} resume={() => actions.resume.mutate()} resuming={actions.resume.isPending} />
      </div>
      <div className="sticky bottom-0 -mb-3.5 bg-bg pb-3.5">
        <div className="mx-auto flex w-full max-w-3xl flex-col gap-2">
          <InlineError error={actions.error} />
          <Composer
            label={t("message", { agent: orDash(run.agent) })}
            busy={actions.send.isPending}
            disabled={!over && asks === undefined}
            onSend={async (text) => {
              await actions.send.mutateAsync(text);
            }}
          />
        </div>
      </div>
      <div ref={end} />
    </>
  );
}

/** The task that an answer finishes, and whether it was the first one; null for what is said on the way to an answer. */
function taskOf(items: Item[], at: number, over: boolean): Task | null {
  const next = items[at + 1];
  if (next === undefined ? !over : next.kind !== "user") return null;
  const tasks = items.slice(0, at).filter((item) => item.kind === "user");
  const last = tasks.at(-1);
  return last === undefined ? null : { text: last.text, first: tasks.length === 1 };
}

/** Keeps the end in sight while it grows, unless the reader has scrolled away from it. */
function useFollow(change: string) {
  const end = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  useEffect(() => {
    if (end.current === null) return;
    const observer = new IntersectionObserver(
      ([entry]) => {
        following.current = entry?.isIntersecting ?? true;
      },
      { rootMargin: "0px 0px 80px 0px" },
    );
    observer.observe(end.current);
    return () => observer.disconnect();
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the content has grown
  useEffect(() => {
    if (following.current) end.current?.scrollIntoView({ block: "end" });
  }, [change]);
  return end;
}

function download(name: string, text: string): void {
  const href = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
  const link = document.createElement("a");
  link.href = href;
  link.download = name;
  link.click();
  URL.revokeObjectURL(href);
}
