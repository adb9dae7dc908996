import { useQueries } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Ban, MessageSquare, RotateCcw } from "lucide-react";
import { useState } from "react";
import { useTranslations } from "use-intl";
import type { Run, Step } from "../../api/models";
import { stepsQuery } from "../../api/queries";
import { ApprovalCard } from "../../components/approval-card";
import { Button, buttonClass } from "../../components/button";
import { ErrorNotice, InlineError } from "../../components/notice";
import { PageHeader, Panel } from "../../components/page";
import { RunLink } from "../../components/page-link";
import { Skeleton } from "../../components/skeleton";
import { runStatus, Status } from "../../components/status";
import { useNow } from "../../components/time";
import { between, cost, duration, orDash, shortId, tokens } from "../../lib/format";
import { type LiveRun, useRun } from "../../lib/use-run";
import { useRunActions } from "../../lib/use-run-actions";
import { isFinal, waterfall } from "../../lib/waterfall";
import { canResume } from "./can-resume";
import { StepPanel } from "./step-panel";
import { WaterfallView } from "./waterfall-view";

const route = getRouteApi("/shell/runs/$run");

export function RunPage() {
  const t = useTranslations("run");
  const common = useTranslations("common");
  const { run: id } = route.useParams();
  const live = useRun(id);
  if (live.run === undefined) {
    return (
      <>
        <PageHeader title={t("title")} meta={<span className="font-mono text-sm text-ink-2">{shortId(id)}</span>} />
        <Panel>
          {live.error === null ? (
            <Skeleton rows={8} />
          ) : (
            <ErrorNotice title={common("loadFailed", { what: t("title") })} error={live.error} retry={live.retry}>
              {common("stillWorks")}
            </ErrorNotice>
          )}
        </Panel>
      </>
    );
  }
  return <Loaded key={id} id={id} live={live} run={live.run} />;
}

function Loaded({ id, live, run }: { id: string; live: LiveRun; run: Run }) {
  const t = useTranslations("run");
  const { step: chosen } = route.useSearch();
  const navigate = route.useNavigate();
  const actions = useRunActions(id);
  const over = isFinal(run.status);
  const now = useNow(!over);
  const [opened, setOpened] = useState<string[]>([]);
  const [key, setKey] = useState<string | null>(null);
  const nested = useQueries({
    queries: opened.map((child) => ({ ...stepsQuery(child), refetchInterval: over ? false : 3_000 })),
  });
  const children = new Map<string, Step[]>();
  opened.forEach((child, i) => {
    const steps = nested[i]?.data;
    if (steps !== undefined) children.set(child, steps);
  });
  const chart = waterfall(run, live.steps, children, now);
  const selectedKey = key ?? (chosen === undefined ? run.id : `${run.id}:${chosen}`);
  const selected = chart.rows.find((row) => row.key === selectedKey) ?? chart.rows[0];
  const pending = live.approvals.filter((a) => a.status === "pending");
  const facts = {
    duration: duration(between(run.started_at ?? run.created_at, run.finished_at, over ? undefined : now)),
    tokens: tokens(run.usage),
    cost: cost(run.usage.cost_usd),
  };

  return (
    <>
      <PageHeader
        title={orDash(run.agent)}
        meta={
          <>
            <span className="font-mono text-sm text-ink-2" title={run.id}>
              {shortId(run.id)}
            </span>
            <Status value={runStatus(run)} />
            <span className="num text-ink-2">{t("facts", facts)}</span>
          </>
        }
        actions={
          <>
            <Link to="/chat/$run" params={{ run: id }} className={buttonClass()}>
              <MessageSquare size={14} aria-hidden />
              {t("openChat")}
            </Link>
            {canResume(run) && (
              <Button
                busy={actions.resume.isPending}
                onClick={() => actions.resume.mutate()}
                icon={<RotateCcw size={14} aria-hidden />}
              >
                {t("resume")}
              </Button>
            )}
            {!over && (
              <Button
                look="danger"
                busy={actions.cancel.isPending}
                onClick={() => actions.cancel.mutate()}
                icon={<Ban size={14} aria-hidden />}
              >
                {t("cancel")}
              </Button>
            )}
          </>
        }
      />
      <InlineError error={actions.error ?? live.streamError} />
      {run.error !== null && (
        <Panel>
          <ErrorNotice title={run.error.message || t("error")} />
        </Panel>
      )}
      {run.status === "waiting" && run.wait_detail !== "" && pending.length === 0 && (
        <p className="text-warn [overflow-wrap:anywhere]">{run.wait_detail}</p>
      )}
      {(run.parent !== "" || (run.recoveries ?? 0) > 0) && (
        <p className="flex flex-wrap gap-x-3 text-sm text-ink-2">
          {run.parent !== "" && (
            <RunLink id={run.parent} className="text-accent">
              {t("parent")}
            </RunLink>
          )}
          {(run.recoveries ?? 0) > 0 && <span>{t("recoveries", { count: run.recoveries ?? 0 })}</span>}
        </p>
      )}
      {pending.map((approval) => (
        <ApprovalCard key={approval.id} approval={approval} />
      ))}
      <div className="grid items-start gap-3.5 lg:grid-cols-[minmax(0,1fr)_310px]">
        <WaterfallView
          run={run}
          chart={chart}
          selected={selected?.key ?? ""}
          onSelect={(row) => {
            setKey(row.key);
            const step = row.run === run.id ? (row.step?.index ?? undefined) : chosen;
            void navigate({ search: { step }, replace: true, resetScroll: false });
          }}
          onToggle={(child) =>
            setOpened((list) => (list.includes(child) ? list.filter((c) => c !== child) : [...list, child]))
          }
        />
        {selected && <StepPanel run={run} row={selected} messages={live.messages} />}
      </div>
    </>
  );
}
