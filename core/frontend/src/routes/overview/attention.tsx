import type { UseQueryResult } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowRight, ChevronDown, ChevronRight, CircleCheck } from "lucide-react";
import { useId, useState } from "react";
import { useTranslations } from "use-intl";
import type { Approval, AttentionEntry, Overview } from "../../api/models";
import { ApprovalCard } from "../../components/approval-card";
import { InlineError } from "../../components/notice";
import { Panel } from "../../components/page";
import { PathLink, RunLink } from "../../components/page-link";
import { Skeleton } from "../../components/skeleton";
import { Status, type StatusWord } from "../../components/status";
import { useNow } from "../../components/time";
import { between, orDash, roughly } from "../../lib/format";
import { question, summary } from "../../lib/transcript";

interface Props {
  overview: UseQueryResult<Overview>;
  approvals: UseQueryResult<Approval[]>;
}

/** More are reached through the list of runs. */
const SHOWN = 20;

/** What a person should look at; says so when there is nothing. */
export function Attention({ overview, approvals }: Props) {
  const t = useTranslations("overview");
  const common = useTranslations("common");
  const entries = (overview.data?.attention ?? []).filter((e) => e.kind !== "approval");
  const waiting = approvals.data ?? [];
  const count = entries.length + waiting.length;
  const failed = [overview, approvals].find((q) => q.isError && q.data === undefined);
  const loading = overview.isPending || approvals.isPending;
  return (
    <Panel title={t("attention", { count })}>
      {loading && count === 0 ? (
        <Skeleton rows={1} />
      ) : (
        <ul className="flex flex-col gap-2 p-3">
          {failed && (
            <li>
              <InlineError error={failed.error} />
              <p className="text-sm text-ink-2">{common("stillWorks")}</p>
            </li>
          )}
          {entries.map((entry, i) => (
            <Entry key={`${entry.title}${i}`} entry={entry} />
          ))}
          {waiting.slice(0, SHOWN).map((a, i) => (
            <Waiting key={a.id || i} approval={a} />
          ))}
          {waiting.length > SHOWN && (
            <li>
              <Link to="/runs" search={{ status: "waiting" }} className="text-accent hover:underline">
                {t("moreApprovals", { count: waiting.length - SHOWN })}
              </Link>
            </li>
          )}
          {count === 0 && failed === undefined && (
            <li className="flex items-center gap-2 text-ink-2">
              <CircleCheck size={16} aria-hidden className="text-ok" />
              {t("allWell")}
            </li>
          )}
        </ul>
      )}
    </Panel>
  );
}

const box = "rounded-md border border-line";

const words: Record<AttentionEntry["kind"], Record<AttentionEntry["severity"], StatusWord>> = {
  service: { error: "down", warning: "degraded", unknown: "unknown" },
  agent: { error: "broken", warning: "broken", unknown: "broken" },
  run: { error: "failed", warning: "waiting", unknown: "unknown" },
  approval: { error: "needsApproval", warning: "needsApproval", unknown: "needsApproval" },
  unknown: { error: "unknown", warning: "unknown", unknown: "unknown" },
};

function Entry({ entry }: { entry: AttentionEntry }) {
  return (
    <li className={`${box} flex flex-wrap items-center gap-x-2.5 gap-y-0.5 px-2.5 py-1 [overflow-wrap:anywhere]`}>
      <Status value={words[entry.kind][entry.severity]} />
      <span>{orDash(entry.title)}</span>
      <span className="min-w-0 text-ink-2">{entry.detail}</span>
      <PathLink path={entry.link} aria-label={orDash(entry.title)} className="ml-auto flex p-1">
        <ArrowRight size={14} aria-hidden />
      </PathLink>
    </li>
  );
}

/** One open approval: a line that opens to the decision. */
function Waiting({ approval }: { approval: Approval }) {
  const t = useTranslations("overview");
  const run = useTranslations("chat");
  const now = useNow(true);
  const [open, setOpen] = useState(false);
  const panel = useId();
  const asks = approval.reason === "question";
  const age = roughly(between(approval.created_at, null, now));
  const Chevron = open ? ChevronDown : ChevronRight;
  return (
    <li className={box}>
      <button
        type="button"
        aria-expanded={open}
        aria-controls={panel}
        onClick={() => setOpen(!open)}
        className="flex w-full flex-wrap items-center gap-x-2.5 gap-y-0.5 rounded-md px-2.5 py-1 text-left hover:bg-raised"
      >
        <Status value={asks ? "needsAnswer" : "needsApproval"} />
        <span className="[overflow-wrap:anywhere]">{asks ? question(approval.arguments) : orDash(approval.tool)}</span>
        {!asks && <span className="min-w-0 truncate text-ink-2">{summary(approval.arguments)}</span>}
        <span className="num text-ink-2">{t("oldest", { agent: orDash(approval.agent), span: age })}</span>
        <Chevron size={14} aria-hidden className="ml-auto shrink-0" />
      </button>
      {open && (
        <div id={panel} className="flex flex-col gap-2 p-2.5">
          <ApprovalCard approval={approval} />
          <RunLink id={approval.run} step={approval.step} className="self-end text-sm text-accent">
            {run("openRun")}
          </RunLink>
        </div>
      )}
    </li>
  );
}
