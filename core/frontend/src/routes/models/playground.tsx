import { Plus, Send, Square, X } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslations } from "use-intl";
import type { Model } from "../../api/models";
import { Button } from "../../components/button";
import { Input, Select, TextArea } from "../../components/field";
import { Empty } from "../../components/notice";
import { AnswerCard } from "./answer-card";
import { useTrials } from "./use-trials";

const MOST_MODELS = 4;
const LONGEST_PROMPT = 20_000;
const LONGEST_ANSWER = 8192;

/** What can be asked, routes first. "provider/*" stands for a server that could not be asked what it has. */
function callable(models: Model[]): string[] {
  const ids = (some: Model[]) => some.map((m) => m.id).filter((id) => id !== "" && !id.endsWith("/*"));
  const routes = models.filter((m) => m.kind === "route");
  const others = models.filter((m) => m.kind !== "route" && m.kind !== "agent");
  return [...new Set([...ids(routes), ...ids(others)])];
}

export function Playground({ models }: { models: Model[] }) {
  const t = useTranslations("models");
  const [prompt, setPrompt] = useState(() => t("promptSample"));
  const [longest, setLongest] = useState("256");
  const [picked, setPicked] = useState<string[]>([]);
  const { turns, start, stop } = useTrials();
  const ids = callable(models);
  const chosen = picked.length > 0 ? picked : ids.slice(0, 1);
  if (chosen.length === 0) return <Empty>{t("noModels")}</Empty>;

  const asking = turns.some((turn) => turn.state === "asking");
  const tokens = Number(longest);
  const ready = prompt.trim() !== "" && Number.isInteger(tokens) && tokens >= 1 && tokens <= LONGEST_ANSWER;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !asking) void start(chosen.map((model) => ({ model, prompt, max_tokens: tokens })));
  };
  // A model that is no longer listed stays chosen until one chooses another.
  const options = [...new Set([...ids, ...chosen])].map((id) => ({ value: id, text: id }));
  return (
    <div className="flex flex-col gap-3.5 p-3">
      <p className="text-ink-2">{t("playgroundText")}</p>
      <form onSubmit={submit} className="flex flex-col gap-3.5">
        <TextArea
          label={t("prompt")}
          value={prompt}
          onChange={(e) => setPrompt(e.target.value)}
          rows={3}
          maxLength={LONGEST_PROMPT}
          required
        />
        <div className="flex flex-wrap items-end gap-3">
          {chosen.map((id, at) => (
            <div key={at} className="flex min-w-0 items-end gap-1">
              <div className="min-w-0">
                <Select
                  label={t("model", { n: at + 1 })}
                  value={id}
                  onChange={(value) => setPicked(chosen.with(at, value))}
                  options={options}
                />
              </div>
              {chosen.length > 1 && (
                <Button
                  look="quiet"
                  aria-label={t("removeModel", { n: at + 1 })}
                  onClick={() => setPicked(chosen.filter((_, i) => i !== at))}
                  icon={<X size={14} aria-hidden />}
                />
              )}
            </div>
          ))}
          {chosen.length < MOST_MODELS && (
            <Button
              onClick={() => setPicked([...chosen, ids.find((id) => !chosen.includes(id)) ?? chosen[0] ?? ""])}
              icon={<Plus size={14} aria-hidden />}
            >
              {t("addModel")}
            </Button>
          )}
        </div>
        <div className="flex flex-wrap items-end gap-3">
          <Input
            label={t("maxTokens")}
            type="number"
            inputMode="numeric"
            min={1}
            max={LONGEST_ANSWER}
            step={1}
            required
            value={longest}
            onChange={(e) => setLongest(e.target.value)}
          />
          <Button type="submit" look="primary" busy={asking} disabled={!ready} icon={<Send size={14} aria-hidden />}>
            {t("try", { count: chosen.length })}
          </Button>
          {asking && (
            <Button onClick={stop} icon={<Square size={14} aria-hidden />}>
              {t("stop")}
            </Button>
          )}
        </div>
      </form>
      <p role="status" className={turns.length === 0 ? "sr-only" : "num text-sm text-ink-2"}>
        {turns.length > 0 &&
          t("progress", { done: turns.filter((turn) => turn.state !== "asking").length, all: turns.length })}
      </p>
      {turns.length > 0 && (
        <ul
          aria-label={t("answers")}
          className="grid grid-cols-[repeat(auto-fit,minmax(min(16rem,100%),1fr))] items-start gap-3"
        >
          {turns.map((turn, at) => (
            <AnswerCard key={at} turn={turn} />
          ))}
        </ul>
      )}
    </div>
  );
}
