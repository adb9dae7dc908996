import { useTranslations } from "use-intl";
import type { ModelHealth, ModelRoute } from "../../api/models";
import { Empty } from "../../components/notice";
import { Status } from "../../components/status";
import { type Column, Table } from "../../components/table";
import { duration, orDash, percent } from "../../lib/format";
import { routeTargets } from "../../lib/model-status";

const failures = ["overload", "timeout", "context", "refusal", "error"] as const;
const isFailure = (word: string): word is (typeof failures)[number] => (failures as readonly string[]).includes(word);

export function RouteTable({ items, health }: { items: ModelRoute[]; health: ModelHealth[] }) {
  const t = useTranslations("models");
  if (items.length === 0) return <Empty>{t("noRoutes")}</Empty>;
  const columns: Column<ModelRoute>[] = [
    { title: t("route"), cell: (r) => <span className="font-mono text-sm">{orDash(r.name)}</span> },
    {
      title: t("strategy"),
      cell: (r) => (
        <>
          {t(r.strategy)}
          {r.sticky && <Quiet>{t("sticky")}</Quiet>}
          {r.hedge_ms !== null && r.hedge_ms > 0 && <Quiet>{t("hedge", { span: duration(r.hedge_ms) })}</Quiet>}
        </>
      ),
    },
    { title: t("routeTargets"), cell: (r) => <Targets route={r} health={health} />, wide: true },
    {
      title: t("fallback"),
      cell: (r) => (
        <Wrapping>
          {r.fallback.length === 0 ? t("never") : r.fallback.map((f) => (isFailure(f) ? t(f) : orDash(f))).join(", ")}
        </Wrapping>
      ),
      quiet: true,
    },
    { title: t("cache"), cell: (r) => t(r.cache), quiet: true },
    { title: t("guardrails"), cell: (r) => <Wrapping>{orDash(r.guardrails.join(", "))}</Wrapping>, quiet: true },
  ];
  return <Table label={t("routes")} columns={columns} items={items} />;
}

function Quiet({ children }: { children: string }) {
  return <span className="block text-sm text-ink-2 max-xl:whitespace-normal">{children}</span>;
}

/** Words that may stand below each other where the room is short. */
function Wrapping({ children }: { children: string }) {
  return <span className="max-xl:whitespace-normal">{children}</span>;
}

function Targets({ route, health }: { route: ModelRoute; health: ModelHealth[] }) {
  const t = useTranslations("models");
  if (route.targets.length === 0) return orDash("");
  return (
    <ol className="flex flex-col gap-0.5">
      {routeTargets(route, health).map(({ target, status, share }, i) => (
        <li key={i} className="flex flex-wrap justify-end gap-x-3 md:justify-start">
          <span className="font-mono text-sm">{orDash(target)}</span>
          <Status value={status} />
          {share !== null && <span className="num text-sm text-ink-2">{t("share", { share: percent(share) })}</span>}
        </li>
      ))}
    </ol>
  );
}
