import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { revokeKey } from "../../api/actions";
import type { ApiKey } from "../../api/models";
import { keysQuery } from "../../api/queries";
import { Button } from "../../components/button";
import { Modal } from "../../components/modal";
import { Empty, InlineError } from "../../components/notice";
import { PageHeader, Panel } from "../../components/page";
import { QueryView } from "../../components/query-view";
import { Status, type StatusWord } from "../../components/status";
import { type Column, Table } from "../../components/table";
import { Moment } from "../../components/time";
import { orDash } from "../../lib/format";
import { CreateKey } from "./create-key";

export function KeysPage() {
  const t = useTranslations("keys");
  const keys = useQuery(keysQuery);
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  return (
    <>
      <PageHeader
        title={t("title")}
        actions={
          <Button look="primary" onClick={() => setCreating(true)} icon={<Plus size={14} aria-hidden />}>
            {t("create")}
          </Button>
        }
      />
      <p className="text-ink-2">{t("intro")}</p>
      <Panel>
        <QueryView query={keys} what={t("title")}>
          {(items) => <Keys items={items} revoke={setRevoking} />}
        </QueryView>
      </Panel>
      {creating && <CreateKey close={() => setCreating(false)} />}
      {revoking && <Revoke apiKey={revoking} close={() => setRevoking(null)} />}
    </>
  );
}

function keyStatus(key: ApiKey): StatusWord {
  if (key.revoked_at !== null) return "revoked";
  return key.expires_at !== null && Date.parse(key.expires_at) <= Date.now() ? "expired" : "active";
}

function Keys({ items, revoke }: { items: ApiKey[]; revoke: (key: ApiKey) => void }) {
  const t = useTranslations("keys");
  if (items.length === 0) return <Empty>{t("empty")}</Empty>;
  const columns: Column<ApiKey>[] = [
    { title: t("name"), cell: (k) => orDash(k.name), wide: true },
    { title: t("status"), cell: (k) => <Status value={keyStatus(k)} /> },
    { title: t("prefix"), cell: (k) => <span className="font-mono text-sm">{orDash(k.prefix)}</span> },
    { title: t("scopes"), cell: (k) => orDash(k.scopes.join(", ")), quiet: true },
    { title: t("createdAt"), cell: (k) => <Moment value={k.created_at} />, number: true },
    {
      title: t("lastUsed"),
      cell: (k) => (k.last_used_at === null ? t("neverUsed") : <Moment value={k.last_used_at} />),
      number: true,
    },
    {
      title: t("expires"),
      cell: (k) => (k.expires_at === null ? t("never") : <Moment value={k.expires_at} />),
      number: true,
    },
    {
      title: t("revoke"),
      cell: (k) =>
        keyStatus(k) === "active" &&
        k.id !== "" && (
          <Button look="danger" aria-label={t("revokeName", { name: orDash(k.name) })} onClick={() => revoke(k)}>
            {t("revoke")}
          </Button>
        ),
    },
  ];
  return <Table label={t("title")} columns={columns} items={items} />;
}

function Revoke({ apiKey, close }: { apiKey: ApiKey; close: () => void }) {
  const t = useTranslations("keys");
  const common = useTranslations("common");
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => revokeKey(apiKey.id),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: keysQuery.queryKey });
      close();
    },
  });
  return (
    <Modal title={t("revokeTitle", { name: orDash(apiKey.name) })} close={close}>
      <p>{t("revokeText")}</p>
      <InlineError error={revoke.error} />
      <div className="flex justify-end gap-2">
        <Button onClick={close}>{common("cancel")}</Button>
        <Button look="danger" busy={revoke.isPending} onClick={() => revoke.mutate()}>
          {t("revokeConfirm")}
        </Button>
      </div>
    </Modal>
  );
}
