import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { CircleCheck, LoaderCircle } from "lucide-react";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { startRun } from "../../api/actions";
import { agentsQuery } from "../../api/queries";
import { ApprovalCard } from "../../components/approval-card";
import { Button, buttonClass } from "../../components/button";
import { Select, TextArea } from "../../components/field";
import { InlineError } from "../../components/notice";
import { RunLink } from "../../components/page-link";
import { runStatus, Status } from "../../components/status";
import { useRun } from "../../lib/use-run";
import { isFinal } from "../../lib/waterfall";

const route = getRouteApi("/setup");

export function SampleStep() {
  const t = useTranslations("setup");
  const common = useTranslations("common");
  const chat = useTranslations("chat");
  const { run } = route.useSearch();
  const navigate = route.useNavigate();
  const agents = useQuery(agentsQuery);
  const names = (agents.data ?? []).map((a) => a.agent.name).filter((name) => name !== "");
  const [chosen, setChosen] = useState("");
  const [input, setInput] = useState<string>(() => t("runSample"));
  const [key, setKey] = useState(() => crypto.randomUUID());
  const agent = names.includes(chosen) ? chosen : names.includes("assistant") ? "assistant" : (names[0] ?? "");
  const start = useMutation({
    mutationFn: () => startRun({ agent, input }, key),
    onSuccess: (started) => {
      setKey(crypto.randomUUID());
      void navigate({ search: { step: "run", run: started.id }, replace: true });
    },
  });
  return (
    <div className="flex flex-col gap-3.5 p-4">
      <p className="text-ink-2">{t("runText")}</p>
      {agents.data !== undefined && names.length === 0 && <p className="text-warn">{chat("noAgents")}</p>}
      {names.length > 0 && (
        <Select
          label={chat("agent")}
          value={agent}
          onChange={setChosen}
          options={names.map((name) => ({ value: name, text: name }))}
        />
      )}
      <TextArea label={t("runInput")} rows={2} value={input} onChange={(e) => setInput(e.target.value)} />
      <InlineError error={start.error ?? agents.error} />
      {run !== undefined && <Result key={run} id={run} />}
      <div className="flex flex-wrap gap-2">
        <Button
          look={run === undefined ? "primary" : "plain"}
          busy={start.isPending}
          disabled={agent === "" || input.trim() === ""}
          onClick={() => start.mutate()}
        >
          {t("startRun")}
        </Button>
        <Link to="/" className={buttonClass(run === undefined ? "plain" : "primary")}>
          {common("toOverview")}
        </Link>
      </div>
    </div>
  );
}

/** The sample run's answer as it comes. */
function Result({ id }: { id: string }) {
  const t = useTranslations("setup");
  const live = useRun(id);
  const { run } = live;
  if (run === undefined) return <InlineError error={live.error} />;
  const answer =
    live.partial?.text || run.output || live.messages.filter((m) => m.role === "assistant").at(-1)?.text || "";
  return (
    <section
      aria-live="polite"
      aria-busy={!isFinal(run.status)}
      className="flex flex-col gap-2 rounded-md border border-line p-3"
    >
      <p className="flex flex-wrap items-center gap-x-3">
        <Status value={runStatus(run)} />
        <RunLink id={id} className="text-sm text-accent">
          {t("openRun")}
        </RunLink>
      </p>
      {answer !== "" && <p className="whitespace-pre-wrap [overflow-wrap:anywhere]">{answer}</p>}
      {answer === "" && !isFinal(run.status) && (
        <LoaderCircle size={14} aria-hidden className="animate-spin text-ink-2" />
      )}
      {run.wait_detail !== "" && <p className="text-warn [overflow-wrap:anywhere]">{run.wait_detail}</p>}
      {live.approvals
        .filter((a) => a.status === "pending")
        .map((a) => (
          <ApprovalCard key={a.id} approval={a} />
        ))}
      {run.status === "succeeded" && (
        <p className="flex items-center gap-2 text-ok">
          <CircleCheck size={16} aria-hidden />
          {t("runFine")}
        </p>
      )}
      {(run.status === "failed" || run.status === "cancelled") && (
        <>
          <InlineError error={run.error?.message} />
          <p className="text-ink-2">{t("runFailed")}</p>
        </>
      )}
    </section>
  );
}
