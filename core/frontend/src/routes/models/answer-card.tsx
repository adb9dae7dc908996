import { LoaderCircle } from "lucide-react";
import { useTranslations } from "use-intl";
import type { ModelTest } from "../../api/models";
import { Code } from "../../components/code";
import { InlineError } from "../../components/notice";
import { Facts } from "../../components/page";
import { cost, count, latency, orDash } from "../../lib/format";
import type { Turn } from "./use-trials";

/** What became of one model's turn. */
export function AnswerCard({ turn }: { turn: Turn }) {
  const t = useTranslations("models");
  return (
    <li
      aria-busy={turn.state === "asking"}
      className="flex min-w-0 flex-col gap-2 rounded-md border border-line p-2.5 [overflow-wrap:anywhere]"
    >
      <h3 className="font-mono text-sm font-semibold">{turn.model}</h3>
      {turn.state === "asking" && (
        <p className="flex items-center gap-1.5 text-sm text-info">
          <LoaderCircle size={14} aria-hidden className="animate-spin" />
          {t("asking")}
        </p>
      )}
      {turn.state === "stopped" && <p className="text-sm text-ink-2">{t("stopped")}</p>}
      {turn.state === "failed" && (
        <>
          <p className="text-sm">{t("failed", { model: turn.model })}</p>
          <InlineError error={turn.error} />
        </>
      )}
      {turn.state === "answered" && <Answer answer={turn.answer} asked={turn.model} />}
    </li>
  );
}

function Answer({ answer, asked }: { answer: ModelTest; asked: string }) {
  const t = useTranslations("models");
  const failed = answer.attempts.filter((a) => a.error !== "");
  return (
    <>
      {answer.text.trim() === "" ? (
        <p className="text-ink-2">{t("empty")}</p>
      ) : (
        <Code text={answer.text} label={asked} />
      )}
      <Facts
        items={[
          ...(answer.model === asked ? [] : [[t("answeredBy"), orDash(answer.model)] as [string, string]]),
          [t("firstWord"), latency(answer.first_word_ms)],
          [t("wholeAnswer"), latency(answer.took_ms)],
          [
            t("tokens"),
            t("inOut", { input: count(answer.usage.input_tokens), output: count(answer.usage.output_tokens) }),
          ],
          [t("cost"), cost(answer.usage.cost_usd)],
          [t("tries"), answer.attempts.length === 0 ? orDash("") : count(answer.attempts.length)],
        ]}
      />
      {failed.length > 0 && (
        <ul aria-label={t("failedTries")} className="flex flex-col gap-1 text-sm text-ink-2">
          {failed.map((a, i) => (
            <li key={i}>
              <span className="font-mono">{orDash(a.target)}</span> {a.error}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
