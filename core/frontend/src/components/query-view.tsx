import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { ErrorNotice, Stale } from "./notice";
import { Skeleton } from "./skeleton";

interface Props<T> {
  query: Pick<UseQueryResult<T>, "data" | "error" | "isError" | "dataUpdatedAt" | "refetch">;
  /** What is loaded, for the error's title. */
  what: string;
  rows?: number;
  children: (data: T) => ReactNode;
}

/** Loading, error, stale or data: the same everywhere. */
export function QueryView<T>({ query, what, rows = 4, children }: Props<T>) {
  const t = useTranslations("common");
  if (query.data === undefined) {
    if (!query.isError) return <Skeleton rows={rows} />;
    return (
      <ErrorNotice title={t("loadFailed", { what })} error={query.error} retry={() => void query.refetch()}>
        {t("stillWorks")}
      </ErrorNotice>
    );
  }
  return (
    <>
      {query.isError && <Stale since={query.dataUpdatedAt} error={query.error} />}
      {children(query.data)}
    </>
  );
}
