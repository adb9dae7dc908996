import { useQuery } from "@tanstack/react-query";
import { Tabs } from "radix-ui";
import type { ReactNode } from "react";
import { useTranslations } from "use-intl";
import type { Message, Run, Step } from "../../api/models";
import { messagesQuery } from "../../api/queries";
import { Code } from "../../components/code";
import { Facts, Panel } from "../../components/page";
import { AgentLink, RunLink } from "../../components/page-link";
import { Status } from "../../components/status";
import { Elapsed, Moment } from "../../components/time";
import { between, cost, duration, orDash, tokens } from "../../lib/format";
import { pretty } from "../../lib/transcript";
import { isFinal, type Row, referenced } from "../../lib/waterfall";

interface Props {
  run: Run;
  row: Row;
  messages: Message[];
}

/** What went into the chosen step, what came out, and every attempt. */
export function StepPanel({ run, row, messages }: Props) {
  const t = useTranslations("run");
  const { step } = row;
  // A sub-agent's step refers to its own run's messages.
  const foreign = useQuery({ ...messagesQuery(row.run), enabled: row.run !== run.id && row.run !== "" });
  const own = row.run === run.id ? messages : (foreign.data ?? []);
  const name = step === null ? run.agent : step.name;
  return (
    <Panel className="lg:sticky lg:top-0">
      <section aria-label={t("detail", { name: orDash(name) })}>
        <div className="flex flex-col gap-1 border-b border-line px-2.5 py-2.5">
          <h2 className="font-semibold [overflow-wrap:anywhere]">{orDash(name)}</h2>
          {step === null ? <RunFacts run={run} /> : <StepFacts step={step} />}
        </div>
        <Tabs.Root defaultValue="input">
          <Tabs.List
            aria-label={t("detail", { name: orDash(name) })}
            className="flex gap-1 border-b border-line px-1.5"
          >
            <Tab value="input">{t("input")}</Tab>
            <Tab value="output">{t("output")}</Tab>
            <Tab value="attempts">{t("attempts")}</Tab>
          </Tabs.List>
          <Content value="input">
            {step === null ? <Text text={run.input} label={t("input")} /> : <Input step={step} messages={own} />}
          </Content>
          <Content value="output">
            {step === null ? <Text text={run.output} label={t("output")} /> : <Output step={step} messages={own} />}
          </Content>
          <Content value="attempts">{step === null ? <RunDetails run={run} /> : <Attempts step={step} />}</Content>
        </Tabs.Root>
      </section>
    </Panel>
  );
}

function Tab({ value, children }: { value: string; children: ReactNode }) {
  return (
    <Tabs.Trigger
      value={value}
      className="border-b-2 border-transparent px-2 py-1.5 text-sm text-ink-2 aria-selected:border-accent aria-selected:font-semibold aria-selected:text-ink"
    >
      {children}
    </Tabs.Trigger>
  );
}

function Content({ value, children }: { value: string; children: ReactNode }) {
  return (
    <Tabs.Content value={value} className="flex flex-col gap-2.5 p-2.5">
      {children}
    </Tabs.Content>
  );
}

function Text({ text, label }: { text: string; label: string }) {
  const t = useTranslations("run");
  if (text === "") return <p className="text-ink-2">{t("none")}</p>;
  return <Code text={text} label={label} />;
}

function RunFacts({ run }: { run: Run }) {
  const t = useTranslations("run");
  return <p className="text-sm text-ink-2">{t("version", { version: orDash(run.agent_version) })}</p>;
}

function RunDetails({ run }: { run: Run }) {
  const t = useTranslations("run");
  const runs = useTranslations("runs");
  return (
    <Facts
      items={[
        [
          runs("agent"),
          <AgentLink key="a" name={run.agent}>
            {orDash(run.agent)}
          </AgentLink>,
        ],
        [runs("started"), <Moment key="s" value={run.started_at} />],
        [t("createdBy"), orDash(run.created_by)],
        ...Object.entries(run.metadata).map(([key, value]): [string, ReactNode] => [key, value]),
      ]}
    />
  );
}

function StepFacts({ step }: { step: Step }) {
  const t = useTranslations("run");
  const effect = useTranslations("effect");
  const facts = {
    duration: duration(between(step.started_at, step.finished_at)),
    tokens: tokens(step.usage),
    cost: cost(step.usage.cost_usd),
  };
  return (
    <>
      <p className="flex flex-wrap items-center gap-x-2 text-ink-2">
        <Status value={step.status} />
        <span className="num">{step.kind === "tool" ? facts.duration : t("facts", facts)}</span>
      </p>
      {step.effect !== "" && <p className="text-sm text-ink-2">{effect(step.effect)}</p>}
      {step.error !== "" && <p className="text-sm text-bad [overflow-wrap:anywhere]">{step.error}</p>}
      {step.child_run !== "" && (
        <RunLink id={step.child_run} className="text-sm text-accent">
          {t("childRun")}
        </RunLink>
      )}
    </>
  );
}

function Input({ step, messages }: { step: Step; messages: Message[] }) {
  const t = useTranslations("run");
  const ref = referenced(step.input_ref);
  if (step.kind === "model") {
    const said =
      ref === null ? [] : messages.filter((m) => m.index !== null && m.index >= ref.first && m.index <= ref.last);
    return <Messages messages={said} />;
  }
  const call = messages.flatMap((m) => m.tool_calls).find((c) => c.id === (step.call_id || ref?.call));
  const edited = step.arguments !== undefined && step.arguments !== null;
  const shown = edited ? step.arguments : call?.arguments;
  return (
    <>
      {edited && <p className="text-sm text-warn">{t("edited")}</p>}
      <Text text={pretty(shown)} label={t("input")} />
    </>
  );
}

function Output({ step, messages }: { step: Step; messages: Message[] }) {
  const ref = referenced(step.output_ref);
  return <Messages messages={ref === null ? [] : messages.filter((m) => m.index === ref.first)} />;
}

function Messages({ messages }: { messages: Message[] }) {
  const t = useTranslations("run");
  const role = useTranslations("role");
  if (messages.length === 0) return <p className="text-ink-2">{t("none")}</p>;
  return messages.map((m, i) => (
    <div key={m.index ?? `?${i}`} className="flex flex-col gap-1">
      <p className="text-sm font-semibold text-ink-2">{role(m.role)}</p>
      {m.text !== "" && <Code text={m.text} label={role(m.role)} className={m.is_error ? "text-bad" : ""} />}
      {m.tool_calls.map((call, k) => (
        <div key={`${call.id}${k}`} className="flex flex-col gap-1">
          <p className="text-sm">{t("calls", { name: orDash(call.name) })}</p>
          <Code text={pretty(call.arguments)} label={orDash(call.name)} />
        </div>
      ))}
    </div>
  ));
}

function Attempts({ step }: { step: Step }) {
  const t = useTranslations("run");
  if (step.attempts.length === 0) return <p className="text-ink-2">{t("noAttempts")}</p>;
  return (
    <>
      <ol className="flex flex-col gap-2.5">
        {step.attempts.map((a, i) => (
          <li key={i} className="flex flex-col gap-0.5 text-sm">
            <span className="flex flex-wrap justify-between gap-x-3">
              <span className="font-semibold">{t("attempt", { n: i + 1 })}</span>
              <span className="text-ink-2">
                <Moment value={a.started_at} /> ·{" "}
                <Elapsed from={a.started_at} to={a.finished_at} running={!isFinal(step.status)} />
              </span>
            </span>
            {a.target !== "" && <span className="font-mono text-ink-2 [overflow-wrap:anywhere]">{a.target}</span>}
            {a.error !== "" && <span className="text-bad [overflow-wrap:anywhere]">{a.error}</span>}
          </li>
        ))}
      </ol>
      <Facts
        items={[
          [
            t("idempotencyKey"),
            <span key="k" className="font-mono text-xs">
              {orDash(step.idempotency_key)}
            </span>,
          ],
        ]}
      />
    </>
  );
}
