import { CircleX, RotateCcw, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import { ApiError } from "../api/client";
import { when } from "../lib/format";
import { Button } from "./button";

/** What an error says to a person. Only the API's own words are for people. */
export function reason(error: unknown): string {
  return error instanceof ApiError ? error.message : error instanceof Error ? error.message : String(error);
}

interface ErrorProps {
  title: string;
  error?: unknown;
  children?: ReactNode;
  retry?: () => void;
}

/** What failed, what still works, and how to try again. */
export function ErrorNotice({ title, error, children, retry }: ErrorProps) {
  const t = useTranslations("common");
  return (
    <div role="alert" className="flex flex-wrap items-start gap-3 p-3">
      <CircleX size={16} aria-hidden className="mt-0.5 shrink-0 text-bad" />
      <div className="min-w-0 flex-1 [overflow-wrap:anywhere]">
        <p className="font-semibold">{title}</p>
        {error !== undefined && <p className="text-ink-2">{reason(error)}</p>}
        {children && <div className="text-ink-2">{children}</div>}
      </div>
      {retry && (
        <Button onClick={retry} icon={<RotateCcw size={14} aria-hidden />}>
          {t("retry")}
        </Button>
      )}
    </div>
  );
}

/** A failed action, in a line beside what was tried. */
export function InlineError({ error }: { error: unknown }) {
  if (error === null || error === undefined) return null;
  return (
    <p role="alert" className="flex items-start gap-1.5 text-sm text-bad [overflow-wrap:anywhere]">
      <CircleX size={14} aria-hidden className="mt-0.5 shrink-0" />
      {typeof error === "string" ? error : reason(error)}
    </p>
  );
}

/** What would be here, and one thing to do about it. */
export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-start gap-3 p-3 text-ink-2">
      <p>{children}</p>
      {action}
    </div>
  );
}

/** Old data is kept and says how old it is. */
export function Stale({ since, error }: { since: number; error: unknown }) {
  const t = useTranslations("common");
  return (
    <p role="status" className="flex items-start gap-1.5 px-3 py-2 text-sm text-warn">
      <TriangleAlert size={14} aria-hidden className="mt-0.5 shrink-0" />
      {t("stale", { time: when(new Date(since).toISOString()), reason: reason(error) })}
    </p>
  );
}
