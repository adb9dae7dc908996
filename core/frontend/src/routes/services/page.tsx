import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import type { Model, Service } from "../../api/models";
import { modelsQuery, servicesQuery } from "../../api/queries";
import { Empty } from "../../components/notice";
import { PageHeader, Panel } from "../../components/page";
import { QueryView } from "../../components/query-view";
import { Status } from "../../components/status";
import { type Column, Table } from "../../components/table";
import { Moment } from "../../components/time";
import { count, latency, orDash } from "../../lib/format";
import { modelStatus } from "../../lib/model-status";

export function ServicesPage() {
  const t = useTranslations("services");
  const services = useQuery(servicesQuery);
  const models = useQuery(modelsQuery);
  return (
    <>
      <PageHeader title={t("title")} />
      <Panel>
        <QueryView query={services} what={t("title")} rows={6}>
          {(items) => <Services items={items} />}
        </QueryView>
      </Panel>
      <Panel title={t("models")}>
        <QueryView query={models} what={t("models")}>
          {(items) => <Models items={items} />}
        </QueryView>
      </Panel>
    </>
  );
}

function Services({ items }: { items: Service[] }) {
  const t = useTranslations("services");
  if (items.length === 0) return <Empty>{t("empty")}</Empty>;
  const columns: Column<Service>[] = [
    { title: t("name"), cell: (s) => orDash(s.name) },
    { title: t("state"), cell: (s) => <Status value={s.state} /> },
    { title: t("kind"), cell: (s) => (s.kind === "" ? "—" : t(s.kind)), quiet: true },
    { title: t("detail"), cell: (s) => orDash(s.detail), quiet: true, wide: true },
    { title: t("latency"), cell: (s) => latency(s.latency_ms), number: true },
    { title: t("restarts"), cell: (s) => count(s.restarts), number: true },
    { title: t("since"), cell: (s) => <Moment value={s.since} />, number: true },
    { title: t("checked"), cell: (s) => <Moment value={s.checked_at} />, number: true },
  ];
  return <Table label={t("title")} columns={columns} items={items} />;
}

function Models({ items }: { items: Model[] }) {
  const t = useTranslations("services");
  if (items.length === 0) return <Empty>{t("noModels")}</Empty>;
  const columns: Column<Model>[] = [
    { title: t("model"), cell: (m) => <span className="font-mono text-sm">{orDash(m.id)}</span> },
    { title: t("state"), cell: (m) => <Status value={modelStatus(m, items)} /> },
    { title: t("provider"), cell: (m) => orDash(m.provider), quiet: true },
    { title: t("kind"), cell: (m) => orDash(m.kind), quiet: true },
    { title: t("detail"), cell: (m) => orDash(m.detail), quiet: true, wide: true },
  ];
  return <Table label={t("models")} columns={columns} items={items} />;
}
