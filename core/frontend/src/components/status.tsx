import {
  Ban,
  CircleCheck,
  CircleHelp,
  CircleX,
  Clock,
  Hourglass,
  LoaderCircle,
  type LucideIcon,
  TriangleAlert,
} from "lucide-react";
import { useTranslations } from "use-intl";
import type { Run } from "../api/models";
import type { Messages } from "../messages/en";

export type StatusWord = keyof Messages["status"];

const looks: Record<StatusWord, [LucideIcon, string]> = {
  queued: [Clock, "text-idle"],
  untried: [Clock, "text-idle"],
  pending: [Clock, "text-idle"],
  running: [LoaderCircle, "text-info"],
  starting: [LoaderCircle, "text-info"],
  half_open: [LoaderCircle, "text-info"],
  waiting: [Hourglass, "text-warn"],
  needsApproval: [Hourglass, "text-warn"],
  needsAnswer: [CircleHelp, "text-warn"],
  waitsForAgent: [Hourglass, "text-info"],
  waitsForModel: [Hourglass, "text-warn"],
  succeeded: [CircleCheck, "text-ok"],
  approved: [CircleCheck, "text-ok"],
  done: [CircleCheck, "text-ok"],
  healthy: [CircleCheck, "text-ok"],
  active: [CircleCheck, "text-ok"],
  closed: [CircleCheck, "text-ok"],
  degraded: [TriangleAlert, "text-warn"],
  broken: [TriangleAlert, "text-warn"],
  expired: [Clock, "text-idle"],
  failed: [CircleX, "text-bad"],
  denied: [CircleX, "text-bad"],
  down: [CircleX, "text-bad"],
  open: [CircleX, "text-bad"],
  cancelled: [Ban, "text-idle"],
  revoked: [Ban, "text-idle"],
  unknown: [CircleHelp, "text-idle"],
};

const waits: Record<string, StatusWord> = {
  approval: "needsApproval",
  question: "needsAnswer",
  agent: "waitsForAgent",
  model: "waitsForModel",
};

export function runStatus(run: Pick<Run, "status" | "wait_reason">): StatusWord {
  return run.status === "waiting" ? (waits[run.wait_reason] ?? "waiting") : run.status;
}

/** Icon, word and colour: never colour alone. */
export function Status({ value, className = "" }: { value: StatusWord; className?: string }) {
  const t = useTranslations("status");
  const [Icon, color] = looks[value];
  const spin = Icon === LoaderCircle ? "animate-spin [animation-duration:2s]" : "";
  return (
    <span className={`inline-flex items-center gap-1.5 whitespace-nowrap text-sm ${color} ${className}`}>
      <Icon size={14} aria-hidden className={`shrink-0 ${spin}`} />
      {t(value)}
    </span>
  );
}
