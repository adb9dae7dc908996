import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { agentsQuery, recentRunsQuery } from "../../api/queries";
import { Select } from "../../components/field";
import { Empty, ErrorNotice, InlineError } from "../../components/notice";
import { PageHeader, Panel } from "../../components/page";
import { QueryView } from "../../components/query-view";
import { runStatus, Status } from "../../components/status";
import { Moment } from "../../components/time";
import { orDash } from "../../lib/format";
import { useRun } from "../../lib/use-run";
import { Composer } from "./composer";
import { Conversation } from "./conversation";
import { useStart } from "./use-start";

const newRoute = getRouteApi("/shell/chat");
const chatRoute = getRouteApi("/shell/chat/$run");

export function NewChatPage() {
  const t = useTranslations("chat");
  const { agent: asked } = newRoute.useSearch();
  const navigate = newRoute.useNavigate();
  const agents = useQuery(agentsQuery);
  const start = useStart();
  // The same key for every try of the same message; a new one once it was sent.
  const [key, setKey] = useState(() => crypto.randomUUID());
  const names = (agents.data ?? []).map((a) => a.agent.name).filter((name) => name !== "");
  const agent =
    asked !== undefined && names.includes(asked) ? asked : names.includes("assistant") ? "assistant" : (names[0] ?? "");
  return (
    <>
      <PageHeader title={t("title")} />
      <div className="mx-auto flex w-full max-w-3xl flex-1 flex-col gap-3.5">
        <QueryView query={agents} what={t("agent")} rows={2}>
          {() =>
            agent === "" ? (
              <Empty>{t("noAgents")}</Empty>
            ) : (
              <>
                <p className="text-ink-2">{t("empty")}</p>
                <Select
                  label={t("agent")}
                  value={agent}
                  onChange={(name) => void navigate({ search: { agent: name }, replace: true })}
                  options={names.map((name) => ({ value: name, text: name }))}
                />
                <Composer
                  label={t("message", { agent })}
                  attachments
                  busy={start.isPending}
                  onSend={async (input, files) => {
                    await start.mutateAsync({ agent, input, files, key });
                    setKey(crypto.randomUUID());
                  }}
                />
                <InlineError error={start.error} />
              </>
            )
          }
        </QueryView>
        <Recent />
      </div>
    </>
  );
}

function Recent() {
  const t = useTranslations("chat");
  const recent = useQuery(recentRunsQuery);
  return (
    <Panel title={t("recent")}>
      <QueryView query={recent} what={t("recent")}>
        {(runs) =>
          runs.length === 0 ? (
            <Empty>{t("noRecent")}</Empty>
          ) : (
            <ul className="px-3 py-1.5">
              {runs.map((run, i) => (
                <li
                  key={run.id || i}
                  className="grid grid-cols-[minmax(0,1fr)_auto] gap-x-3 border-b border-line py-1.5 last:border-b-0 sm:grid-cols-[130px_minmax(0,1fr)_auto]"
                >
                  <Status value={runStatus(run)} className="max-sm:order-3" />
                  {run.id === "" ? (
                    <span className="truncate">{orDash(run.input)}</span>
                  ) : (
                    <Link to="/chat/$run" params={{ run: run.id }} className="truncate hover:underline">
                      <span className="text-ink-2">{orDash(run.agent)}</span> {run.input}
                    </Link>
                  )}
                  <span className="text-sm text-ink-2">
                    <Moment value={run.created_at} />
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </QueryView>
    </Panel>
  );
}

export function ChatPage() {
  const t = useTranslations("chat");
  const common = useTranslations("common");
  const { run: id } = chatRoute.useParams();
  const live = useRun(id);
  if (live.run !== undefined) return <Conversation key={id} id={id} live={live} run={live.run} />;
  return (
    <>
      <PageHeader title={t("title")} />
      {live.error !== null && (
        <Panel>
          <ErrorNotice title={common("loadFailed", { what: t("conversation") })} error={live.error} retry={live.retry}>
            {common("stillWorks")}
          </ErrorNotice>
        </Panel>
      )}
    </>
  );
}
