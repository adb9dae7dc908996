import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useSyncExternalStore } from "react";
import { useTranslations } from "use-intl";
import type { Run } from "../../api/models";
import { Button } from "../../components/button";
import { RunLink } from "../../components/page-link";
import { runStatus, Status } from "../../components/status";
import { Elapsed, Moment } from "../../components/time";
import { cost, orDash, shortId, tokens } from "../../lib/format";
import { isFinal } from "../../lib/waterfall";

interface Props {
  runs: Run[];
  more: boolean;
  loading: boolean;
  loadMore: () => void;
}

const WIDE = "(min-width: 48rem)";
const grid = "md:grid md:grid-cols-[132px_minmax(0,1fr)_150px_100px_100px_90px] md:items-center md:gap-x-3";

function useWide(): boolean {
  return useSyncExternalStore(
    (changed) => {
      const query = window.matchMedia(WIDE);
      query.addEventListener("change", changed);
      return () => query.removeEventListener("change", changed);
    },
    () => window.matchMedia(WIDE).matches,
  );
}

/** Only the rows in sight are in the page, so that thousands scroll as lightly as ten. */
export function RunTable({ runs, more, loading, loadMore }: Props) {
  const t = useTranslations("runs");
  const wide = useWide();
  const scroller = useRef<HTMLDivElement>(null);
  const height = wide ? 34 : 56;
  const rows = useVirtualizer({
    count: runs.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 12,
    initialRect: { width: 800, height: 800 },
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another height needs another measure
  useEffect(() => rows.measure(), [height, rows]);

  const titles: [string, boolean][] = [
    [t("status"), false],
    [t("agentRun"), false],
    [t("started"), false],
    [t("duration"), true],
    [t("tokens"), true],
    [t("cost"), true],
  ];
  return (
    <div ref={scroller} className="h-[70dvh] overflow-y-auto md:h-auto md:flex-1">
      {/* The virtualiser places the rows, which it could not do in a table element. */}
      <div role="table" aria-label={t("table")} aria-rowcount={runs.length + 1}>
        <div role="rowgroup" className="sticky top-0 z-[1] bg-surface max-md:sr-only">
          <div role="row" aria-rowindex={1} className={`${grid} border-b border-line px-3 py-2 text-sm text-ink-2`}>
            {titles.map(([title, right]) => (
              <span role="columnheader" key={title} className={right ? "text-right" : ""}>
                {title}
              </span>
            ))}
          </div>
        </div>
        <div role="rowgroup" className="relative" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((item) => {
            const run = runs[item.index];
            return (
              run && <Row key={run.id || item.index} run={run} index={item.index} top={item.start} height={height} />
            );
          })}
        </div>
      </div>
      {more && (
        <div className="flex justify-center p-3">
          <Button busy={loading} onClick={loadMore}>
            {loading ? t("loadingMore") : t("more")}
          </Button>
        </div>
      )}
    </div>
  );
}

function Row({ run, index, top, height }: { run: Run; index: number; top: number; height: number }) {
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${top}px)`, height }}
      className={`${grid} absolute inset-x-0 border-b border-line px-3 max-md:grid max-md:grid-cols-[minmax(0,1fr)_auto] max-md:content-center max-md:gap-x-3 hover:bg-raised`}
    >
      <span role="cell" className="max-md:order-2">
        <Status value={runStatus(run)} />
      </span>
      <span role="cell" className="min-w-0 truncate max-md:order-1">
        <RunLink id={run.id}>
          {orDash(run.agent)} <span className="font-mono text-sm text-ink-2">{shortId(run.id)}</span>
        </RunLink>
      </span>
      <span role="cell" className="truncate text-ink-2 max-md:order-3 max-md:text-sm">
        <Moment value={run.started_at ?? run.created_at} />
      </span>
      <span role="cell" className="text-right max-md:order-4 max-md:text-sm">
        <Elapsed from={run.started_at} to={run.finished_at} running={!isFinal(run.status)} />
      </span>
      <span role="cell" className="num hidden text-right md:block">
        {tokens(run.usage)}
      </span>
      <span role="cell" className="num hidden text-right md:block">
        {cost(run.usage.cost_usd)}
      </span>
    </div>
  );
}
