import { useTranslations } from "use-intl";

const widths = ["w-3/4", "w-1/2", "w-2/3", "w-5/6"];

/** Takes the height of what loads at once, and becomes visible after 200 ms. */
export function Skeleton({ rows }: { rows: number }) {
  const t = useTranslations("app");
  return (
    <div role="status" className="p-3">
      <span className="sr-only">{t("loading")}</span>
      <div className="late" aria-hidden>
        {Array.from({ length: rows }, (_, i) => (
          <div key={i} className="flex h-8 items-center">
            <div className={`h-3 rounded bg-raised ${widths[i % widths.length]}`} />
          </div>
        ))}
      </div>
    </div>
  );
}
