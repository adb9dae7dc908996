import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslations } from "use-intl";
import { request } from "../../api/client";
import { decode } from "../../api/decode";
import { setupState } from "../../api/models";
import { meQuery } from "../../api/queries";
import { buttonClass } from "../../components/button";
import { Centre } from "../../components/centre";
import { ErrorNotice } from "../../components/notice";
import { Panel } from "../../components/page";
import { Skeleton } from "../../components/skeleton";
import { AdminStep } from "./admin-step";
import { ModelStep } from "./model-step";
import { Progress } from "./progress";
import { SampleStep } from "./sample-step";

const route = getRouteApi("/setup");

/**
 * The first run: administrator, model check, sample run. Where it stands follows from the server (is there an
 * administrator, is somebody signed in) and from the address, so it goes on where it was after a reload.
 */
export function SetupPage() {
  const t = useTranslations("setup");
  const app = useTranslations("app");
  const common = useTranslations("common");
  const { token = "", step } = route.useSearch();
  const navigate = route.useNavigate();
  const me = useQuery(meQuery);
  const state = useQuery({
    queryKey: ["setup", token],
    staleTime: Number.POSITIVE_INFINITY, // asking uses up tries of the address
    queryFn: async ({ signal }) => decode(setupState, await request("GET", "/setup", { query: { token }, signal })),
  });
  useEffect(() => {
    document.title = `${t("title")} · ${app("name")}`;
  }, [t, app]);
  const go = (next: string) => void navigate({ search: { step: next }, replace: true });

  const content = () => {
    const failed = me.error ?? state.error;
    if (failed !== null) {
      return (
        <ErrorNotice
          title={common("loadFailed", { what: t("title") })}
          error={failed}
          retry={() => void Promise.all([me.refetch(), state.refetch()])}
        />
      );
    }
    if (me.data === undefined || state.data === undefined) return <Skeleton rows={5} />;
    if (me.data !== null) {
      return step === "run" ? <SampleStep /> : <ModelStep next={() => go("run")} />;
    }
    if (!state.data.needed) {
      return (
        <div className="flex flex-col items-start gap-3 p-4">
          <p>{t("already")}</p>
          <Link to="/login" search={{}} className={buttonClass("primary")}>
            {common("toOverview")}
          </Link>
        </div>
      );
    }
    if (!state.data.token_valid) {
      return (
        <div className="p-4">
          <h2 className="font-semibold">{token === "" ? t("linkNeeded") : t("linkInvalid")}</h2>
          <p className="text-ink-2">{t("linkNeededText")}</p>
        </div>
      );
    }
    return <AdminStep token={token} done={() => go("model")} />;
  };
  const at = me.data ? (step === "run" ? 2 : 1) : 0;
  return (
    <Centre title={t("title")} wide>
      <Progress at={at} />
      <Panel>{content()}</Panel>
    </Centre>
  );
}
