import { Check } from "lucide-react";
import { useTranslations } from "use-intl";

export function Progress({ at }: { at: number }) {
  const t = useTranslations("setup");
  const steps = [t("stepAdmin"), t("stepModel"), t("stepRun")];
  return (
    <ol aria-label={t("progress")} className="flex flex-wrap gap-x-5 gap-y-2 text-sm">
      {steps.map((name, i) => (
        <li
          key={name}
          aria-current={i === at ? "step" : undefined}
          className={`flex items-center gap-1.5 ${i === at ? "font-semibold" : "text-ink-2"}`}
        >
          <span
            className={`num grid size-5 place-items-center rounded-full border text-xs ${i === at ? "border-accent bg-accent text-accent-ink" : "border-line"}`}
          >
            {i < at ? <Check size={12} aria-hidden /> : i + 1}
          </span>
          {name}
        </li>
      ))}
    </ol>
  );
}
