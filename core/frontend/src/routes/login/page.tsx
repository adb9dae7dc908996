import { useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { useTranslations } from "use-intl";
import { logIn } from "../../api/actions";
import { meQuery } from "../../api/queries";
import { Button } from "../../components/button";
import { Centre } from "../../components/centre";
import { Input } from "../../components/field";
import { InlineError } from "../../components/notice";
import { Panel } from "../../components/page";

const route = getRouteApi("/login");

export function LoginPage() {
  const t = useTranslations("login");
  const app = useTranslations("app");
  const { to } = route.useSearch();
  const router = useRouter();
  const client = useQueryClient();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const login = useMutation({
    mutationFn: () => logIn(username, password),
    onSuccess: (me) => {
      client.clear(); // nothing that somebody else has loaded may be seen
      client.setQueryData(meQuery.queryKey, me);
      router.history.push(to ?? "/");
    },
  });
  useEffect(() => {
    document.title = `${t("title")} · ${app("name")}`;
  }, [t, app]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    login.mutate();
  };
  return (
    <Centre title={t("title")}>
      {to !== undefined && <p className="text-ink-2">{t("ended")}</p>}
      <Panel>
        <form onSubmit={submit} className="flex flex-col gap-3.5 p-4">
          <Input
            label={t("username")}
            value={username}
            onChange={(e) => setUsername(e.target.value)}
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
          />
          <Input
            label={t("password")}
            type="password"
            value={password}
            onChange={(e) => setPassword(e.target.value)}
            autoComplete="current-password"
            required
          />
          <InlineError error={login.error} />
          <Button type="submit" look="primary" busy={login.isPending}>
            {t("submit")}
          </Button>
        </form>
      </Panel>
    </Centre>
  );
}
