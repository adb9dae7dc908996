import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { modelHealthQuery, modelRoutesQuery, modelsQuery } from "../../api/queries";
import { PageHeader, Panel } from "../../components/page";
import { QueryView } from "../../components/query-view";
import { Playground } from "./playground";
import { RouteTable } from "./route-table";
import { TargetTable } from "./target-table";

export function ModelsPage() {
  const t = useTranslations("models");
  const health = useQuery(modelHealthQuery);
  const routes = useQuery(modelRoutesQuery);
  const models = useQuery(modelsQuery);
  return (
    <>
      <PageHeader title={t("title")} />
      <Panel title={t("targets")}>
        <QueryView query={health} what={t("targets")}>
          {(items) => <TargetTable items={items} />}
        </QueryView>
      </Panel>
      <Panel title={t("routes")}>
        <QueryView query={routes} what={t("routes")}>
          {(items) => <RouteTable items={items} health={health.data ?? []} />}
        </QueryView>
      </Panel>
      <Panel title={t("playground")}>
        <QueryView query={models} what={t("playground")} rows={6}>
          {(items) => <Playground models={items} />}
        </QueryView>
      </Panel>
    </>
  );
}
