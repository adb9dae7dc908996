import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import type { AgentStatus } from "../../api/models";
import { agentsQuery } from "../../api/queries";
import { Empty } from "../../components/notice";
import { PageHeader, Panel } from "../../components/page";
import { AgentLink } from "../../components/page-link";
import { QueryView } from "../../components/query-view";
import { Status } from "../../components/status";
import { type Column, Table } from "../../components/table";
import { count, orDash } from "../../lib/format";
import { agentWord } from "../overview/lists";

export function AgentsPage() {
  const t = useTranslations("agents");
  const agents = useQuery(agentsQuery);
  return (
    <>
      <PageHeader title={t("title")} />
      <Panel>
        <QueryView query={agents} what={t("title")} rows={6}>
          {(items) => <Agents items={items} />}
        </QueryView>
      </Panel>
    </>
  );
}

function Agents({ items }: { items: AgentStatus[] }) {
  const t = useTranslations("agents");
  if (items.length === 0) return <Empty>{t("empty")}</Empty>;
  const columns: Column<AgentStatus>[] = [
    {
      title: t("name"),
      cell: (a) => (
        <AgentLink name={a.agent.name} className="font-semibold">
          {orDash(a.agent.name)}
        </AgentLink>
      ),
    },
    { title: t("status"), cell: (a) => <Status value={agentWord(a)} /> },
    { title: t("description"), cell: (a) => orDash(a.errors[0] ?? a.agent.description), quiet: true, wide: true },
    {
      title: t("model"),
      cell: (a) => <span className="font-mono text-sm md:whitespace-nowrap">{orDash(a.agent.model)}</span>,
    },
    { title: t("active"), cell: (a) => count(a.active), number: true },
  ];
  return <Table label={t("title")} columns={columns} items={items} />;
}
