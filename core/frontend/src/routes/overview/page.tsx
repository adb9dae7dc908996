import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { agentsQuery, overviewQuery, pendingApprovalsQuery, servicesQuery } from "../../api/queries";
import { PageHeader, Panel } from "../../components/page";
import { QueryView } from "../../components/query-view";
import { Attention } from "./attention";
import { AgentRows, ServiceRows } from "./lists";
import { Numbers } from "./numbers";

export function OverviewPage() {
  const t = useTranslations("overview");
  const overview = useQuery(overviewQuery);
  const services = useQuery(servicesQuery);
  const agents = useQuery(agentsQuery);
  const approvals = useQuery(pendingApprovalsQuery);
  // What is below would be pushed down by what comes in above it.
  const known = !overview.isPending && !approvals.isPending;
  return (
    <>
      <PageHeader title={t("title")} />
      <Numbers query={overview} />
      <Attention overview={overview} approvals={approvals} />
      {known && (
        <div className="grid gap-3.5 lg:grid-cols-2">
          <Panel title={t("services")}>
            <QueryView query={services} what={t("services")}>
              {(items) => <ServiceRows items={items} />}
            </QueryView>
          </Panel>
          <Panel title={t("agents")}>
            <QueryView query={agents} what={t("agents")}>
              {(items) => <AgentRows items={items} />}
            </QueryView>
          </Panel>
        </div>
      )}
    </>
  );
}
