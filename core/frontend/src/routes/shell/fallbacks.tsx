import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { useTranslations } from "use-intl";
import { buttonClass } from "../../components/button";
import { ErrorNotice } from "../../components/notice";
import { PageHeader, Panel } from "../../components/page";

export function NotFound() {
  const t = useTranslations("common");
  return (
    <>
      <PageHeader title={t("notFound")} />
      <p className="text-ink-2">{t("notFoundText")}</p>
      <p>
        <Link to="/" className={buttonClass("primary")}>
          {t("toOverview")}
        </Link>
      </p>
    </>
  );
}

/** One page broke; the frame around it and the other pages go on. */
export function PageError({ error }: ErrorComponentProps) {
  const t = useTranslations("common");
  return (
    <>
      <PageHeader title={t("pageFailed")} />
      <Panel>
        <ErrorNotice title={t("pageFailed")} error={error} retry={() => location.reload()}>
          {t("pageFailedText")}
        </ErrorNotice>
      </Panel>
    </>
  );
}

/** Where not even the frame can be shown, such as without an answer from the server. */
export function FrameError(props: ErrorComponentProps) {
  return (
    <main id="main" className="flex flex-col gap-3.5 p-3.5">
      <PageError {...props} />
    </main>
  );
}

export function FrameNotFound() {
  return (
    <main id="main" className="flex flex-col gap-3.5 p-3.5">
      <NotFound />
    </main>
  );
}
