import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CircleHelp, Hourglass } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslations } from "use-intl";
import { decideApproval, type Verdict } from "../api/actions";
import { ApiError } from "../api/client";
import type { Approval } from "../api/models";
import { runApprovalsQuery } from "../api/queries";
import { duration, roughly } from "../lib/format";
import { choices, pretty, question } from "../lib/transcript";
import { Button } from "./button";
import { Code } from "./code";
import { TextArea } from "./field";
import { InlineError } from "./notice";
import { Status } from "./status";
import { Moment, useNow } from "./time";

type Form = "none" | "edit" | "deny" | "done";

/** What a person must decide: the exact action, when it expires, and the choices that its reason allows. */
export function ApprovalCard({ approval }: { approval: Approval }) {
  const t = useTranslations("approval");
  const client = useQueryClient();
  const decide = useMutation({
    mutationFn: (verdict: Verdict) => decideApproval(approval.id, verdict),
    onSuccess: (decided) => {
      client.setQueryData(runApprovalsQuery(approval.run).queryKey, (list) =>
        list?.map((a) => (a.id === decided.id ? decided : a)),
      );
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["approvals"] }),
  });
  const now = useNow(approval.status === "pending");
  const left = approval.expires_at === null ? null : Date.parse(approval.expires_at) - now;
  const expired = left !== null && left <= 0;
  const words = { agent: approval.agent || "—", tool: approval.tool || "—" };

  if (approval.status !== "pending") return <Decided approval={approval} />;
  const asks = approval.reason === "question";
  return (
    <section
      aria-label={t("title")}
      className="flex min-w-0 flex-col gap-2.5 rounded-lg border border-warn bg-surface p-3"
    >
      <p className="flex items-start gap-2 font-semibold [overflow-wrap:anywhere]">
        {asks ? (
          <CircleHelp size={16} aria-hidden className="mt-0.5 shrink-0 text-warn" />
        ) : (
          <Hourglass size={16} aria-hidden className="mt-0.5 shrink-0 text-warn" />
        )}
        {t(approval.reason, words)}
      </p>
      {asks ? (
        <Question approval={approval} busy={decide.isPending || expired} decide={decide.mutate} />
      ) : (
        <Call approval={approval} busy={decide.isPending || expired} decide={decide.mutate} />
      )}
      {decide.error !== null && (
        <InlineError
          error={decide.error instanceof ApiError && decide.error.status === 409 ? t("conflict") : decide.error}
        />
      )}
      <p className="num self-end text-sm text-ink-2">
        {expired
          ? t("expired")
          : left !== null && t("expires", { span: left < 120_000 ? duration(left) : roughly(left) })}
      </p>
    </section>
  );
}

interface FormProps {
  approval: Approval;
  busy: boolean;
  decide: (verdict: Verdict) => void;
}

function Call({ approval, busy, decide }: FormProps) {
  const t = useTranslations("approval");
  const effect = useTranslations("effect");
  const [form, setForm] = useState<Form>("none");
  const tool = approval.tool || "—";
  const interrupted = approval.reason === "interrupted";
  if (form === "edit") return <Edit approval={approval} busy={busy} decide={decide} close={() => setForm("none")} />;
  return (
    <>
      <Code text={pretty(approval.arguments)} label={t("exact")} />
      {approval.effect !== "" && (
        <p className="text-sm text-ink-2">{t("effect", { effect: effect(approval.effect) })}</p>
      )}
      {form === "none" && (
        <div className="flex flex-wrap gap-2">
          <Button look="primary" busy={busy} onClick={() => decide({ decision: interrupted ? "retry" : "approve" })}>
            {interrupted ? t("retry", { tool }) : t("approve", { tool })}
          </Button>
          {interrupted ? (
            <Button disabled={busy} onClick={() => setForm("done")}>
              {t("done")}
            </Button>
          ) : (
            <Button disabled={busy} onClick={() => setForm("edit")}>
              {t("edit")}
            </Button>
          )}
          <Button look="danger" disabled={busy} onClick={() => setForm("deny")}>
            {interrupted ? t("failed") : t("deny", { tool })}
          </Button>
        </div>
      )}
      {form === "deny" && (
        <Reply
          label={t("denyLabel")}
          look="danger"
          action={interrupted ? t("failed") : t("deny", { tool })}
          busy={busy}
          send={(comment) => decide({ decision: "deny", ...(comment === "" ? {} : { comment }) })}
          close={() => setForm("none")}
        />
      )}
      {form === "done" && (
        <Reply
          label={t("doneLabel")}
          look="primary"
          action={t("done")}
          busy={busy}
          send={(result) => decide({ decision: "done", result })}
          close={() => setForm("none")}
        />
      )}
    </>
  );
}

function Edit({ approval, busy, decide, close }: FormProps & { close: () => void }) {
  const t = useTranslations("approval");
  const [text, setText] = useState(() => pretty(approval.arguments));
  const [problem, setProblem] = useState("");
  const submit = () => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      setProblem(t("invalidJson", { reason: error instanceof Error ? error.message : "" }));
      return;
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      setProblem(t("needsObject"));
      return;
    }
    setProblem("");
    decide({ decision: "edit", arguments: value });
  };
  return (
    <>
      <TextArea
        label={t("editLabel")}
        value={text}
        onChange={(e) => setText(e.target.value)}
        rows={Math.min(16, text.split("\n").length + 1)}
        spellCheck={false}
        className="font-mono text-sm"
        error={problem}
      />
      <div className="flex flex-wrap gap-2">
        <Button look="primary" busy={busy} onClick={submit}>
          {t("approveEdited", { tool: approval.tool || "—" })}
        </Button>
        <Button disabled={busy} onClick={close}>
          {t("stopEditing")}
        </Button>
      </div>
    </>
  );
}

interface ReplyProps {
  label: string;
  action: string;
  look: "primary" | "danger";
  busy: boolean;
  send: (text: string) => void;
  close?: () => void;
  needed?: boolean;
  extra?: ReactNode;
}

function Reply({ label, action, look, busy, send, close, needed = false, extra }: ReplyProps) {
  const t = useTranslations("approval");
  const [text, setText] = useState("");
  return (
    <form
      className="flex flex-col gap-2.5"
      onSubmit={(e) => {
        e.preventDefault();
        send(text.trim());
      }}
    >
      <TextArea label={label} rows={2} value={text} onChange={(e) => setText(e.target.value)} />
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look={look} busy={busy} disabled={needed && text.trim() === ""}>
          {action}
        </Button>
        {close && (
          <Button disabled={busy} onClick={close}>
            {t("back")}
          </Button>
        )}
        {extra}
      </div>
    </form>
  );
}

function Question({ approval, busy, decide }: FormProps) {
  const t = useTranslations("approval");
  const answer = (result: string) => decide({ decision: "done", result });
  const offered = choices(approval.arguments);
  return (
    <>
      <p className="whitespace-pre-wrap [overflow-wrap:anywhere]">{question(approval.arguments)}</p>
      {offered.length > 0 && (
        <div className="flex flex-wrap gap-2">
          {offered.map((choice) => (
            <Button key={choice} disabled={busy} onClick={() => answer(choice)}>
              {choice}
            </Button>
          ))}
        </div>
      )}
      <Reply
        label={t("answerLabel")}
        look="primary"
        action={t("answer")}
        busy={busy}
        send={answer}
        needed
        extra={
          <Button disabled={busy} onClick={() => decide({ decision: "deny" })}>
            {t("decline")}
          </Button>
        }
      />
    </>
  );
}

function Decided({ approval }: { approval: Approval }) {
  const t = useTranslations("approval");
  const status = useTranslations("status");
  const name = approval.decided_by.replace(/^user:/, "");
  const answered = approval.reason === "question" && approval.status === "done";
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-ink-2 [overflow-wrap:anywhere]">
      {name === "" ? (
        <Status value={approval.status} />
      ) : (
        <span>{answered ? t("answeredBy", { name }) : t("by", { status: status(approval.status), name })}</span>
      )}
      {approval.decided_at !== null && <Moment value={approval.decided_at} />}
      {approval.comment !== "" && <span>{t("comment", { text: approval.comment })}</span>}
    </div>
  );
}
