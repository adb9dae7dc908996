import { useTranslations } from "use-intl";
import type { AgentStatus, Service } from "../../api/models";
import { Empty } from "../../components/notice";
import { AgentLink } from "../../components/page-link";
import { Status } from "../../components/status";
import { count, latency, orDash } from "../../lib/format";

const row = "grid items-center gap-x-3 border-b border-line py-1 last:border-b-0 [overflow-wrap:anywhere]";

export function ServiceRows({ items }: { items: Service[] }) {
  const t = useTranslations("overview");
  if (items.length === 0) return <Empty>{t("noServices")}</Empty>;
  return (
    <ul className="px-3 py-1.5">
      {items.map((s, i) => (
        <li
          key={`${s.name}${i}`}
          className={`${row} grid-cols-[minmax(0,5fr)_minmax(0,4fr)_64px] md:grid-cols-[minmax(0,3fr)_minmax(0,3fr)_minmax(0,4fr)_64px]`}
        >
          <span>{orDash(s.name)}</span>
          <Status value={s.state} />
          <span className="hidden truncate text-sm text-ink-2 md:block" title={s.detail}>
            {s.restarts !== null && s.restarts > 0 ? t("restarts", { count: s.restarts }) : s.detail}
          </span>
          <span className="num text-right text-ink-2">{latency(s.latency_ms)}</span>
        </li>
      ))}
    </ul>
  );
}

export function AgentRows({ items }: { items: AgentStatus[] }) {
  const t = useTranslations("overview");
  if (items.length === 0) return <Empty>{t("noAgents")}</Empty>;
  return (
    <ul className="px-3 py-1.5">
      {items.map((a, i) => (
        <li
          key={`${a.agent.name}${i}`}
          className={`${row} grid-cols-[minmax(0,5fr)_minmax(0,4fr)_64px] md:grid-cols-[minmax(0,3fr)_minmax(0,2fr)_minmax(0,4fr)_64px]`}
        >
          <AgentLink name={a.agent.name}>{orDash(a.agent.name)}</AgentLink>
          <Status value={agentWord(a)} />
          <span className="hidden truncate text-right font-mono text-sm text-ink-2 md:block">
            {orDash(a.agent.model)}
          </span>
          <span className="num text-right text-ink-2">{t("activeRuns", { count: count(a.active) })}</span>
        </li>
      ))}
    </ul>
  );
}

/** An agent is as good as its file. */
export function agentWord(a: AgentStatus): "healthy" | "broken" | "unknown" {
  if (a.errors.length > 0) return "broken";
  return a.agent.name === "" ? "unknown" : "healthy";
}
