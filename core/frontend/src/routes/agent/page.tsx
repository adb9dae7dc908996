import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { MessageSquare } from "lucide-react";
import { useTranslations } from "use-intl";
import type { Agent, AgentStatus } from "../../api/models";
import { agentQuery } from "../../api/queries";
import { buttonClass } from "../../components/button";
import { Code } from "../../components/code";
import { Empty } from "../../components/notice";
import { Facts, PageHeader, Panel } from "../../components/page";
import { AgentLink } from "../../components/page-link";
import { QueryView } from "../../components/query-view";
import { Status } from "../../components/status";
import { cost, count, orDash } from "../../lib/format";
import { pretty } from "../../lib/transcript";
import { agentWord } from "../overview/lists";

const route = getRouteApi("/shell/agents/$name");

export function AgentPage() {
  const t = useTranslations("agents");
  const overview = useTranslations("overview");
  const { name } = route.useParams();
  const query = useQuery({ ...agentQuery(name), refetchInterval: 5_000 });
  return (
    <>
      <PageHeader
        title={name}
        meta={
          query.data && (
            <>
              <Status value={agentWord(query.data)} />
              <span className="num text-ink-2">{overview("activeRuns", { count: count(query.data.active) })}</span>
            </>
          )
        }
        actions={
          <>
            <Link to="/runs" search={{ agent: name }} className={buttonClass()}>
              {t("runs")}
            </Link>
            <Link to="/chat" search={{ agent: name }} className={buttonClass("primary")}>
              <MessageSquare size={14} aria-hidden />
              {t("chat", { name })}
            </Link>
          </>
        }
      />
      <QueryView query={query} what={name} rows={8}>
        {(status) => <Details status={status} />}
      </QueryView>
    </>
  );
}

function Details({ status }: { status: AgentStatus }) {
  const t = useTranslations("agents");
  const { agent, errors } = status;
  return (
    <>
      {agent.description !== "" && <p className="text-ink-2 [overflow-wrap:anywhere]">{agent.description}</p>}
      {errors.length > 0 && (
        <Panel title={t("problems")}>
          <ul className="flex flex-col gap-1 p-3 font-mono text-sm text-warn [overflow-wrap:anywhere]">
            {errors.map((e) => (
              <li key={e}>{e}</li>
            ))}
          </ul>
          <p className="px-3 pb-3 text-sm text-ink-2">{t("problemsText")}</p>
        </Panel>
      )}
      <div className="grid items-start gap-3.5 lg:grid-cols-[minmax(0,1fr)_320px]">
        <Panel title={t("instructions")}>
          <div className="p-3">
            <Code text={orDash(agent.instructions)} label={t("instructions")} className="max-h-[60vh]" />
          </div>
        </Panel>
        <div className="flex min-w-0 flex-col gap-3.5">
          <Settings agent={agent} />
          <Tools agent={agent} />
        </div>
      </div>
    </>
  );
}

function Settings({ agent }: { agent: Agent }) {
  const t = useTranslations("agents");
  const limit = (value: number | null) => (value === null ? t("default") : count(value));
  return (
    <Panel title={t("settings")}>
      <div className="p-3">
        <Facts
          items={[
            [
              t("model"),
              <span key="m" className="font-mono">
                {orDash(agent.model)}
              </span>,
            ],
            [
              t("version"),
              <span key="v" className="font-mono">
                {orDash(agent.version)}
              </span>,
            ],
            [t("temperature"), agent.temperature === null ? t("default") : String(agent.temperature)],
            [t("maxTokens"), limit(agent.max_tokens)],
            [t("limitSteps"), limit(agent.limits.steps)],
            [t("limitTokens"), limit(agent.limits.tokens)],
            [t("limitCost"), agent.limits.cost_usd === null ? t("default") : cost(agent.limits.cost_usd)],
            [t("limitTime"), agent.limits.time || t("default")],
            [t("limitDepth"), limit(agent.limits.depth)],
          ]}
        />
      </div>
    </Panel>
  );
}

const policies = {
  never: "approvalNever",
  always: "approvalAlways",
  unsafe: "approvalUnsafe",
  "": "approvalUnknown",
} as const;

function Tools({ agent }: { agent: Agent }) {
  const t = useTranslations("agents");
  return (
    <>
      <Panel title={t("tools")}>
        {agent.tools.length === 0 ? (
          <Empty>{t("noTools")}</Empty>
        ) : (
          <ul className="px-3 py-1.5">
            {agent.tools.map((tool, i) => (
              <li
                key={`${tool.name}${i}`}
                className="flex flex-wrap justify-between gap-x-3 border-b border-line py-1 last:border-b-0"
              >
                <span className="font-mono text-sm [overflow-wrap:anywhere]">{orDash(tool.name)}</span>
                <span className="text-sm text-ink-2">{t(policies[tool.approval])}</span>
              </li>
            ))}
          </ul>
        )}
      </Panel>
      {agent.agents.length > 0 && (
        <Panel title={t("delegates")}>
          <ul className="px-3 py-1.5">
            {agent.agents.map((name) => (
              <li key={name} className="py-1">
                <AgentLink name={name}>{name}</AgentLink>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {agent.output !== undefined && agent.output !== null && (
        <Panel title={t("output")}>
          <div className="p-3">
            <Code text={pretty(agent.output)} label={t("output")} />
          </div>
        </Panel>
      )}
    </>
  );
}
