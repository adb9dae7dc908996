import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { useTranslations } from "use-intl";
import { buttonClass } from "../../components/button";
import { ErrorNotice } from "../../components/notice";
import { PageHeader, Panel } from "../../components/page";

export function NotFound() {
  const t = useTranslations("common");
  return (
    <div className="flex flex-col gap-3.5 p-3.5">
      <PageHeader title={t("notFound")} />
      <p className="text-ink-2">{t("notFoundText")}</p>
      <p>
        <Link to="/" className={buttonClass("primary")}>
          {t("toOverview")}
        </Link>
      </p>
    </div>
  );
}

/** One page broke; the frame around it and the other pages go on. */
export function PageError({ error }: ErrorComponentProps) {
  const t = useTranslations("common");
  return (
    <div className="flex flex-col gap-3.5 p-3.5">
      <PageHeader title={t("pageFailed")} />
      <Panel>
        <ErrorNotice title={t("pageFailed")} error={error} retry={() => location.reload()}>
          {t("pageFailedText")}
        </ErrorNotice>
      </Panel>
    </div>
  );
}
