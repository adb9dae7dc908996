import type { UseQueryResult } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import type { Overview } from "../../api/models";
import { Stale } from "../../components/notice";
import { count, DASH } from "../../lib/format";

/** The four numbers, each a way to what it counts. Without data they are dashes of the same size. */
export function Numbers({ query }: { query: UseQueryResult<Overview> }) {
  const t = useTranslations("overview");
  const { data } = query;
  const show = (value: number | null | undefined) => (value === undefined ? DASH : count(value));
  return (
    <section aria-label={t("title")}>
      <dl className="grid grid-cols-2 gap-2.5 lg:grid-cols-4">
        <Tile title={t("runs24")}>
          <Link to="/runs" search={{}} className="hover:underline">
            {show(data?.runs_24h)}
          </Link>
        </Tile>
        <Tile title={t("failed24")}>
          <Link to="/runs" search={{ status: "failed" }} className="hover:underline">
            {show(data?.failed_24h)}
          </Link>
        </Tile>
        <Tile title={t("active")}>
          <Link to="/runs" search={{ status: "running" }} className="hover:underline">
            {show(data?.active)}
          </Link>
        </Tile>
        <Tile title={t("waiting")}>
          <Link to="/runs" search={{ status: "waiting" }} className="hover:underline">
            {show(data?.waiting_approvals)}
          </Link>
        </Tile>
      </dl>
      {query.isError && data !== undefined && <Stale since={query.dataUpdatedAt} error={query.error} />}
    </section>
  );
}

function Tile({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="flex flex-col gap-0.5 rounded-lg border border-line bg-surface px-3 py-2.5">
      <dt className="text-sm text-ink-2">{title}</dt>
      <dd className="num text-[22px] font-semibold leading-8">{children}</dd>
    </div>
  );
}
