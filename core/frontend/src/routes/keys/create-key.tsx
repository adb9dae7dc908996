import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslations } from "use-intl";
import { createKey } from "../../api/actions";
import { keysQuery } from "../../api/queries";
import { Button } from "../../components/button";
import { Code, CopyButton } from "../../components/code";
import { Input, Select } from "../../components/field";
import { Modal } from "../../components/modal";
import { InlineError } from "../../components/notice";

const scopes = ["read", "run", "approve", "admin"] as const;
const DAY = 86_400_000;

export function CreateKey({ close }: { close: () => void }) {
  const t = useTranslations("keys");
  const common = useTranslations("common");
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<string[]>(["read", "run"]);
  const [days, setDays] = useState("90");
  const create = useMutation({
    mutationFn: () =>
      createKey({
        name: name.trim(),
        scopes: chosen,
        ...(days !== "" && { expires_at: new Date(Date.now() + Number(days) * DAY).toISOString() }),
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: keysQuery.queryKey }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  const toggle = (scope: string) =>
    setChosen((list) => (list.includes(scope) ? list.filter((s) => s !== scope) : [...list, scope]));

  if (create.data !== undefined) {
    return (
      <Modal title={t("creating")} close={close} firm>
        <p role="status">{t("created")}</p>
        <Code text={create.data.secret} label={t("secret")} />
        <div className="flex justify-end gap-2">
          <CopyButton text={create.data.secret} />
          <Button look="primary" onClick={close}>
            {t("done")}
          </Button>
        </div>
      </Modal>
    );
  }
  return (
    <Modal title={t("creating")} close={close}>
      <form onSubmit={submit} className="flex flex-col gap-3.5">
        <Input
          label={t("name")}
          hint={t("nameHint")}
          value={name}
          onChange={(e) => setName(e.target.value)}
          required
          maxLength={100}
          autoComplete="off"
        />
        <fieldset className="flex flex-col gap-1">
          <legend className="mb-1 text-sm font-semibold">{t("scopes")}</legend>
          {scopes.map((scope) => (
            <label key={scope} className="flex items-center gap-2">
              <input
                type="checkbox"
                className="accent-accent"
                checked={chosen.includes(scope)}
                onChange={() => toggle(scope)}
              />
              {t(scope)}
            </label>
          ))}
        </fieldset>
        <Select
          label={t("expiry")}
          value={days}
          onChange={setDays}
          options={[
            ...["30", "90", "365"].map((d) => ({ value: d, text: t("days", { count: Number(d) }) })),
            { value: "", text: t("never") },
          ]}
        />
        {chosen.length === 0 && <InlineError error={t("needScope")} />}
        <InlineError error={create.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={close}>{common("cancel")}</Button>
          <Button
            type="submit"
            look="primary"
            busy={create.isPending}
            disabled={name.trim() === "" || chosen.length === 0}
          >
            {t("create")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
