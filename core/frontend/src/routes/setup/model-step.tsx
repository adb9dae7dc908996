import { useQuery } from "@tanstack/react-query";
import { useTranslations } from "use-intl";
import { modelsQuery } from "../../api/queries";
import { Button } from "../../components/button";
import { QueryView } from "../../components/query-view";
import { Status } from "../../components/status";
import { orDash } from "../../lib/format";
import { modelStatus } from "../../lib/model-status";

export function ModelStep({ next }: { next: () => void }) {
  const t = useTranslations("setup");
  const query = useQuery({ ...modelsQuery, refetchInterval: 2_000 });
  return (
    <div className="flex flex-col gap-3.5 p-4">
      <p className="text-ink-2">{t("modelText")}</p>
      <QueryView query={query} what={t("stepModel")}>
        {(all) => {
          const models = all.filter((m) => m.kind !== "agent");
          const fine = models.some((m) => modelStatus(m, models) === "closed");
          return (
            <>
              <ul className="rounded-md border border-line px-3">
                {models.map((m, i) => (
                  <li
                    key={m.id || i}
                    className="flex flex-wrap items-center justify-between gap-x-3 gap-y-0.5 border-b border-line py-1.5 last:border-b-0"
                  >
                    <span className="font-mono text-sm [overflow-wrap:anywhere]">{orDash(m.id)}</span>
                    <Status value={modelStatus(m, models)} />
                    {m.detail !== "" && (
                      <span className="w-full text-sm text-ink-2 [overflow-wrap:anywhere]">{m.detail}</span>
                    )}
                  </li>
                ))}
              </ul>
              <p role="status">{models.length === 0 ? t("modelNone") : fine ? t("modelFine") : t("modelWaits")}</p>
              <Button look={fine ? "primary" : "plain"} onClick={next} className="self-start">
                {fine ? t("next") : t("skip")}
              </Button>
            </>
          );
        }}
      </QueryView>
    </div>
  );
}
