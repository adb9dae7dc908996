import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslations } from "use-intl";
import { runStatuses } from "../../api/models";
import { agentsQuery, type RunFilter, runsQuery } from "../../api/queries";
import { Button, buttonClass } from "../../components/button";
import { Select } from "../../components/field";
import { Empty } from "../../components/notice";
import { PageHeader, Panel } from "../../components/page";
import { QueryView } from "../../components/query-view";
import { RunTable } from "./run-table";

const route = getRouteApi("/shell/runs");

export function RunsPage() {
  const t = useTranslations("runs");
  const status = useTranslations("status");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  // A status that there is not would be refused by the server.
  const filter: RunFilter = { agent: search.agent, status: runStatuses.find((s) => s === search.status) };
  const runs = useInfiniteQuery({
    ...runsQuery(filter),
    refetchInterval: ({ state }) => (pages(state.data) > 3 ? false : 5_000),
  });
  const agents = useQuery(agentsQuery).data ?? [];
  const names = new Set(agents.map((a) => a.agent.name).filter((name) => name !== ""));
  if (filter.agent !== undefined) names.add(filter.agent);
  const items = runs.data?.pages.flatMap((p) => p.items) ?? [];
  const filtered = filter.agent !== undefined || filter.status !== undefined;
  const choose = (change: RunFilter) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });

  return (
    <>
      <PageHeader
        title={t("title")}
        meta={
          runs.data && (
            <span className="num text-sm text-ink-2">
              {t(runs.hasNextPage ? "loaded" : "all", { count: items.length })}
            </span>
          )
        }
        actions={
          <>
            <Select
              label={t("status")}
              hideLabel
              value={filter.status ?? ""}
              onChange={(value) => choose({ status: value || undefined })}
              options={[
                { value: "", text: t("anyStatus") },
                ...runStatuses.map((s) => ({ value: s, text: status(s) })),
              ]}
            />
            <Select
              label={t("agent")}
              hideLabel
              value={filter.agent ?? ""}
              onChange={(value) => choose({ agent: value || undefined })}
              options={[{ value: "", text: t("anyAgent") }, ...[...names].sort().map((n) => ({ value: n, text: n }))]}
            />
            {filtered && <Button onClick={() => choose({ agent: undefined, status: undefined })}>{t("clear")}</Button>}
          </>
        }
      />
      <Panel className="flex min-h-0 flex-col overflow-hidden md:flex-1">
        <QueryView query={runs} what={t("title")} rows={12}>
          {() =>
            items.length === 0 ? (
              <Empty
                action={
                  <Link to="/chat" search={{}} className={buttonClass("primary")}>
                    {t("start")}
                  </Link>
                }
              >
                {filtered ? t("emptyFiltered") : t("empty")}
              </Empty>
            ) : (
              <RunTable
                runs={items}
                more={runs.hasNextPage}
                loading={runs.isFetchingNextPage}
                loadMore={() => void runs.fetchNextPage()}
              />
            )
          }
        </QueryView>
      </Panel>
    </>
  );
}

const pages = (data: { pages: unknown[] } | undefined) => data?.pages.length ?? 0;
