import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { Dialog } from "radix-ui";
import { type ReactNode, useState } from "react";
import { useTranslations } from "use-intl";
import { agentsQuery, recentRunsQuery } from "../../api/queries";
import { runStatus } from "../../components/status";
import { shortId } from "../../lib/format";
import { chooseTheme, currentTheme } from "../../lib/theme";
import { useLogOut } from "./bars";
import { navigation } from "./nav";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  scopes: string[];
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Ctrl K: every page, agent, recent run and action by name. */
export default function Palette({ open, onOpenChange, scopes }: Props) {
  const t = useTranslations("palette");
  const nav = useTranslations("nav");
  const status = useTranslations("status");
  const navigate = useNavigate();
  const leave = useLogOut();
  const agents = useQuery({ ...agentsQuery, enabled: open }).data ?? [];
  const runs = useQuery({ ...recentRunsQuery, enabled: open }).data ?? [];
  const [search, setSearch] = useState("");

  const pick = (action: () => void) => () => {
    onOpenChange(false);
    setSearch("");
    action();
  };
  const names = agents.map((a) => a.agent.name).filter((name) => name !== "");

  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/40" />
        <Dialog.Content
          aria-describedby={undefined}
          className="fixed left-1/2 top-[12vh] z-50 w-[min(560px,calc(100vw-28px))] -translate-x-1/2 overflow-hidden rounded-lg border border-line bg-surface"
        >
          <Dialog.Title className="sr-only">{t("title")}</Dialog.Title>
          <Command label={t("title")} loop>
            <Command.Input
              value={search}
              onValueChange={setSearch}
              placeholder={t("placeholder")}
              className="w-full border-b border-line bg-transparent px-3.5 py-3 outline-none"
            />
            <Command.List label={t("title")} className="max-h-[50vh] overflow-y-auto p-1.5">
              <Command.Empty className="p-3 text-ink-2">{t("empty")}</Command.Empty>
              {uuid.test(search.trim()) && (
                <Item
                  value={search}
                  onSelect={pick(() => void navigate({ to: "/runs/$run", params: { run: search.trim() } }))}
                >
                  {t("runById", { id: search.trim() })}
                </Item>
              )}
              <Group heading={t("pages")}>
                {navigation
                  .flatMap((g) => g.items)
                  .filter((i) => i.scope === undefined || scopes.includes(i.scope))
                  .map((i) => (
                    <Item key={i.to} value={`page ${nav(i.word)}`} onSelect={pick(() => void navigate({ to: i.to }))}>
                      {nav(i.word)}
                    </Item>
                  ))}
              </Group>
              {names.length > 0 && (
                <Group heading={t("agents")}>
                  {names.flatMap((name) => [
                    <Item
                      key={`c${name}`}
                      value={`chat ${name}`}
                      onSelect={pick(() => void navigate({ to: "/chat", search: { agent: name } }))}
                    >
                      {t("chatWith", { name })}
                    </Item>,
                    <Item
                      key={`a${name}`}
                      value={`agent ${name}`}
                      onSelect={pick(() => void navigate({ to: "/agents/$name", params: { name } }))}
                    >
                      {t("openAgent", { name })}
                    </Item>,
                  ])}
                </Group>
              )}
              {runs.length > 0 && (
                <Group heading={t("runs")}>
                  {runs.map((run, i) => (
                    <Item
                      key={run.id || i}
                      value={`run ${run.agent} ${run.id}`}
                      onSelect={pick(() => void navigate({ to: "/runs/$run", params: { run: run.id } }))}
                    >
                      {run.agent} <span className="font-mono text-xs text-ink-2">{shortId(run.id)}</span>
                      <span className="ml-auto text-sm text-ink-2">{status(runStatus(run))}</span>
                    </Item>
                  ))}
                </Group>
              )}
              <Group heading={t("actions")}>
                <Item value="theme" onSelect={pick(() => chooseTheme(currentTheme() === "dark" ? "light" : "dark"))}>
                  {nav("switchTheme")}
                </Item>
                <Item value="log out" onSelect={pick(() => void leave())}>
                  {nav("logOut")}
                </Item>
              </Group>
            </Command.List>
          </Command>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Group({ heading, children }: { heading: string; children: ReactNode }) {
  return (
    <Command.Group
      heading={heading}
      className="[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:font-semibold [&_[cmdk-group-heading]]:text-ink-2"
    >
      {children}
    </Command.Group>
  );
}

function Item({ value, onSelect, children }: { value: string; onSelect: () => void; children: ReactNode }) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex cursor-pointer items-center gap-2 rounded-md px-2 py-1.5 aria-selected:bg-raised"
    >
      {children}
    </Command.Item>
  );
}
