import { ChevronDown, ChevronRight } from "lucide-react";
import { useTranslations } from "use-intl";
import type { Run } from "../../api/models";
import { Empty } from "../../components/notice";
import { Panel } from "../../components/page";
import { duration, orDash } from "../../lib/format";
import { type Row, ticks, type Waterfall } from "../../lib/waterfall";

interface Props {
  run: Run;
  chart: Waterfall;
  selected: string;
  onSelect: (row: Row) => void;
  onToggle: (child: string) => void;
}

const columns = "grid grid-cols-[minmax(0,9fr)_minmax(0,11fr)] sm:grid-cols-[240px_minmax(0,1fr)]";

/** A run's steps as a tree on the left and bars over time on the right. */
export function WaterfallView({ run, chart, selected, onSelect, onToggle }: Props) {
  const t = useTranslations("run");
  return (
    <Panel className="overflow-hidden">
      <div aria-hidden className={`${columns} border-b border-line px-2.5 py-1.5 text-sm text-ink-2`}>
        <span>{t("step")}</span>
        <span className="relative h-5">
          {ticks(chart.length).map((at) => (
            <span key={at} className="num absolute whitespace-nowrap" style={{ left: `${(at / chart.length) * 100}%` }}>
              {tick(at, chart.length)}
            </span>
          ))}
        </span>
      </div>
      <ul aria-label={t("steps")}>
        {chart.rows.map((row) => (
          <RowView
            key={row.key}
            run={run}
            row={row}
            length={chart.length}
            selected={row.key === selected}
            onSelect={() => onSelect(row)}
            onToggle={() => onToggle(row.step?.child_run ?? "")}
          />
        ))}
      </ul>
      {chart.rows.length === 1 && <Empty>{t("noSteps")}</Empty>}
    </Panel>
  );
}

/** A mark of the axis, in the unit that suits its length. */
function tick(at: number, length: number): string {
  if (length < 2_000) return `${Math.round(at)} ms`;
  return length < 180_000 ? `${at / 1000} s` : duration(at);
}

interface RowProps {
  run: Run;
  row: Row;
  length: number;
  selected: boolean;
  onSelect: () => void;
  onToggle: () => void;
}

function RowView({ run, row, length, selected, onSelect, onToggle }: RowProps) {
  const t = useTranslations("run");
  const { name, detail } = useRowNames(run, row);
  const Chevron = row.children === "closed" ? ChevronRight : ChevronDown;
  return (
    <li className={`relative ${selected ? "bg-raised" : ""}`}>
      {selected && <span aria-hidden className="absolute inset-y-0 left-0 w-0.5 bg-accent" />}
      <div className={`${columns} items-center px-2.5`}>
        <div className="flex min-w-0 items-center" style={{ paddingLeft: `${row.depth * 18}px` }}>
          {row.step !== null && row.children !== "none" && (
            <button
              type="button"
              aria-expanded={row.children === "open"}
              aria-label={t(row.children === "open" ? "collapse" : "expand", { name })}
              onClick={onToggle}
              className="-ml-6 grid size-6 shrink-0 place-items-center rounded hover:bg-line"
            >
              <Chevron size={14} aria-hidden />
            </button>
          )}
          <button
            type="button"
            aria-pressed={selected}
            onClick={onSelect}
            className="flex min-h-7.5 min-w-0 flex-1 items-baseline gap-1.5 py-1 text-left"
          >
            <span className="truncate">{name}</span>
            <span className="shrink-[2] truncate text-xs text-ink-2">{detail}</span>
          </button>
        </div>
        <Bar row={row} length={length} />
      </div>
    </li>
  );
}

const kinds = {
  model: "kindModel",
  tool: "kindTool",
  agent: "kindAgent",
  peer: "kindPeer",
  unknown: "kindUnknown",
} as const;

function useRowNames(run: Run, row: Row): { name: string; detail: string } {
  const t = useTranslations("run");
  if (row.step === null) return { name: orDash(run.agent), detail: t("kindRun") };
  const { kind, name, status } = row.step;
  const parts: string[] = [t(kinds[kind])];
  if (status === "waiting" && kind === "tool") parts.push(t("approval"));
  return { name: orDash(name), detail: parts.join(" · ") };
}

function barLook(row: Row): string {
  switch (row.status) {
    case "waiting":
      return "border border-dashed border-warn bg-warn/15 text-warn";
    case "failed":
      return "border border-bad bg-bad/15 text-bad";
    case "cancelled":
      return "border border-line bg-raised text-ink-2";
    case "running":
      return "border border-info bg-info/15 text-ink";
    default:
      return row.step?.kind === "model" ? "bg-info/20 text-ink" : "bg-idle/20 text-ink";
  }
}

/** Its words stand in the bar where they fit, else beside it. */
function Bar({ row, length }: { row: Row; length: number }) {
  const t = useTranslations("run");
  if (row.from === null || row.to === null) return <span className="h-4.5" />;
  const left = (row.from / length) * 100;
  const width = Math.max(0.5, ((row.to - row.from) / length) * 100);
  const tries = row.step?.attempts.length ?? 0;
  const label = duration(row.to - row.from) + (tries > 1 ? ` · ${t("tries", { count: tries })}` : "");
  const inside = width > 18;
  const before = !inside && left + width > 75;
  return (
    <span className="relative h-4.5">
      <span
        className={`absolute inset-y-0 flex items-center overflow-hidden rounded-[3px] ${barLook(row)}`}
        style={{ left: `${Math.min(left, 99.5)}%`, width: `${Math.min(width, 100 - Math.min(left, 99.5))}%` }}
      >
        {inside && <span className="num truncate px-1 text-xs">{label}</span>}
      </span>
      {!inside && (
        <span
          className="num absolute inset-y-0 flex items-center whitespace-nowrap px-1 text-xs text-ink-2"
          style={before ? { right: `${100 - left}%` } : { left: `${left + width}%` }}
        >
          {label}
        </span>
      )}
    </span>
  );
}
