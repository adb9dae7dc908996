import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import type { ModelHealth } from "../../api/models";
import { Empty } from "../../components/notice";
import { Status } from "../../components/status";
import { type Column, Table } from "../../components/table";
import { Moment } from "../../components/time";
import { cost, count, latency, orDash, price } from "../../lib/format";
import { targetStatus } from "../../lib/model-status";

/** A value with what belongs to it in a quiet line below. */
function Stacked({ children, below }: { children: ReactNode; below: ReactNode }) {
  return (
    <>
      {children}
      {below && (
        <span className="block text-ellipsis text-sm text-ink-2 max-xl:whitespace-normal md:overflow-clip">
          {below}
        </span>
      )}
    </>
  );
}

export function TargetTable({ items }: { items: ModelHealth[] }) {
  const t = useTranslations("models");
  if (items.length === 0) return <Empty>{t("noTargets")}</Empty>;
  const columns: Column<ModelHealth>[] = [
    {
      title: t("target"),
      cell: (h) => (
        <Stacked below={h.kind}>
          <span className="font-mono text-sm">{orDash(h.target)}</span>
        </Stacked>
      ),
    },
    {
      title: t("health"),
      cell: (h) => (
        <Stacked
          below={
            (h.state === "open" || h.next_probe !== null) && (
              <>
                {t("nextProbe")} <Moment value={h.next_probe} />
              </>
            )
          }
        >
          <Status value={targetStatus(h)} />
        </Stacked>
      ),
    },
    { title: t("firstWord"), cell: (h) => latency(h.first_word_ms), number: true },
    {
      title: t("calls"),
      cell: (h) => <Stacked below={t("failures", { count: count(h.failures) })}>{count(h.calls)}</Stacked>,
      number: true,
    },
    {
      title: t("inFlight"),
      cell: (h) => (
        <Stacked below={h.waiting !== null && h.waiting > 0 && t("waiting", { count: count(h.waiting) })}>
          {t("ofLimit", { now: count(h.in_flight), limit: count(h.limit) })}
        </Stacked>
      ),
      number: true,
    },
    {
      title: t("price"),
      cell: (h) => (
        <Stacked below={t("priceOut", { price: price(h.output_usd_per_million) })}>
          {t("priceIn", { price: price(h.input_usd_per_million) })}
        </Stacked>
      ),
      number: true,
    },
    { title: t("cost"), cell: (h) => cost(h.cost_usd), number: true },
    {
      title: t("lastError"),
      cell: (h) => (
        <Stacked below={h.last_error_at !== null && <Moment value={h.last_error_at} />}>{orDash(h.last_error)}</Stacked>
      ),
      quiet: true,
      wide: true,
    },
    {
      title: t("inRoutes"),
      cell: (h) => <span className="max-xl:whitespace-normal">{orDash(h.routes.join(", "))}</span>,
      quiet: true,
    },
  ];
  return <Table label={t("targets")} columns={columns} items={items} />;
}
