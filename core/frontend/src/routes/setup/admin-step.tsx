import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslations } from "use-intl";
import { setUp } from "../../api/actions";
import { ApiError } from "../../api/client";
import { meQuery } from "../../api/queries";
import { Button } from "../../components/button";
import { Input } from "../../components/field";
import { InlineError } from "../../components/notice";

/** Characters as the server counts them: code points. */
const SHORTEST = 15;

export function AdminStep({ token, done }: { token: string; done: () => void }) {
  const t = useTranslations("setup");
  const client = useQueryClient();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [repeat, setRepeat] = useState("");
  const [tried, setTried] = useState(false);
  const create = useMutation({
    mutationFn: () => setUp(token, username.trim(), password),
    onSuccess: (me) => {
      client.setQueryData(meQuery.queryKey, me);
      done();
    },
  });
  const missing = SHORTEST - [...password].length;
  const problems = {
    username: username.trim() === "" ? t("nameNeeded") : "",
    password: missing > 0 ? t("tooShort", { missing }) : "",
    repeat: repeat === password ? "" : t("differs"),
  };
  const fromServer = create.error instanceof ApiError ? create.error.fields : [];
  const problem = (field: keyof typeof problems) =>
    (tried ? problems[field] : "") || fromServer.find((f) => f.field === field)?.message;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (Object.values(problems).every((p) => p === "")) create.mutate();
  };
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-3.5 p-4">
      <p className="text-ink-2">{t("adminText")}</p>
      <Input
        label={t("username")}
        hint={t("usernameHint")}
        error={problem("username")}
        value={username}
        onChange={(e) => setUsername(e.target.value)}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
      />
      <Input
        label={t("password")}
        hint={t("passwordHint")}
        error={problem("password")}
        type="password"
        value={password}
        onChange={(e) => setPassword(e.target.value)}
        autoComplete="new-password"
      />
      <Input
        label={t("repeat")}
        error={problem("repeat")}
        type="password"
        value={repeat}
        onChange={(e) => setRepeat(e.target.value)}
        autoComplete="new-password"
      />
      {fromServer.length === 0 && <InlineError error={create.error} />}
      <Button type="submit" look="primary" busy={create.isPending}>
        {t("createAdmin")}
      </Button>
    </form>
  );
}
