import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { LogOut, Moon, Search, Sun } from "lucide-react";
import { useState } from "react";
import { useTranslations } from "use-intl";
import { logOut } from "../../api/actions";
import { meQuery } from "../../api/queries";
import { Logo } from "../../components/logo";
import { chooseTheme, currentTheme } from "../../lib/theme";
import { type NavItem, navigation } from "./nav";

export interface BarProps {
  name: string;
  scopes: string[];
  canLogOut: boolean;
  onFind: () => void;
}

const allowed = (item: NavItem, scopes: string[]) => item.scope === undefined || scopes.includes(item.scope);

const item =
  "flex items-center gap-2 rounded-md px-2 py-1 text-ink hover:bg-raised aria-[current=page]:bg-raised aria-[current=page]:font-semibold";
const quiet = "flex items-center gap-2 rounded-md px-2 py-1 text-sm text-ink-2 hover:bg-raised hover:text-ink";

function NavLink({ entry, className = "" }: { entry: NavItem; className?: string }) {
  const t = useTranslations("nav");
  const Icon = entry.icon;
  return (
    <Link to={entry.to} activeOptions={{ exact: entry.to === "/" }} className={`${item} ${className}`}>
      <Icon size={16} aria-hidden className="shrink-0" />
      <span className="truncate">{t(entry.word)}</span>
    </Link>
  );
}

/** The wide screen's navigation. */
export function SideBar({ name, scopes, canLogOut, onFind }: BarProps) {
  const t = useTranslations("nav");
  const app = useTranslations("app");
  return (
    <header className="hidden w-[182px] shrink-0 flex-col gap-2 border-r border-line bg-surface p-2 md:flex md:h-dvh md:overflow-y-auto">
      <p className="flex items-center gap-2 px-1.5 py-1 text-lg font-semibold">
        <Logo />
        {app("name")}
      </p>
      <button
        type="button"
        onClick={onFind}
        className="flex items-center gap-1.5 rounded-md border border-line px-1.5 py-1 text-sm text-ink-2 hover:bg-raised"
      >
        <Search size={12} aria-hidden className="shrink-0" />
        <span className="truncate">{t("find")}</span>
        <kbd className="ml-auto whitespace-nowrap font-mono text-xs">{t("shortcut")}</kbd>
      </button>
      <nav aria-label={t("label")} className="flex flex-col gap-2">
        {navigation.map((group) => (
          <div key={group.word} className="flex flex-col gap-0.5">
            <p className="px-2 pt-2 text-xs font-semibold uppercase tracking-wide text-ink-2">{t(group.word)}</p>
            <ul className="flex flex-col gap-0.5">
              {group.items
                .filter((entry) => allowed(entry, scopes))
                .map((entry) => (
                  <li key={entry.to}>
                    <NavLink entry={entry} />
                  </li>
                ))}
            </ul>
          </div>
        ))}
      </nav>
      <div className="mt-auto flex flex-col gap-0.5">
        {name !== "" && <p className="truncate px-2 text-xs text-ink-2">{t("signedInAs", { name })}</p>}
        {canLogOut && <LogOutButton className={quiet} />}
        <ThemeButton className={quiet} />
      </div>
    </header>
  );
}

/** The narrow screen's navigation: one line that scrolls sideways. */
export function TopBar({ scopes, canLogOut, onFind }: BarProps) {
  const t = useTranslations("nav");
  const line = "shrink-0 whitespace-nowrap";
  return (
    <header className="sticky top-0 z-10 flex items-center gap-2 overflow-x-auto border-b border-line bg-surface px-3.5 py-1.5 md:hidden">
      <Logo />
      <nav aria-label={t("label")} className="flex items-center gap-1">
        {navigation
          .flatMap((group) => group.items)
          .filter((entry) => allowed(entry, scopes))
          .map((entry) => (
            <NavLink key={entry.to} entry={entry} className={line} />
          ))}
      </nav>
      <button type="button" onClick={onFind} className={`${quiet} ${line}`}>
        <Search size={14} aria-hidden />
        {t("findShort")}
      </button>
      <ThemeButton className={`${quiet} ${line}`} />
      {canLogOut && <LogOutButton className={`${quiet} ${line}`} />}
    </header>
  );
}

function ThemeButton({ className }: { className: string }) {
  const t = useTranslations("nav");
  const [theme, setTheme] = useState(currentTheme);
  const Icon = theme === "dark" ? Sun : Moon;
  const toggle = () => {
    const next = currentTheme() === "dark" ? "light" : "dark";
    chooseTheme(next);
    setTheme(next);
  };
  return (
    <button type="button" onClick={toggle} className={className}>
      <Icon size={14} aria-hidden className="shrink-0" />
      {t("switchTheme")}
    </button>
  );
}

function LogOutButton({ className }: { className: string }) {
  const t = useTranslations("nav");
  const leave = useLogOut();
  return (
    <button type="button" onClick={() => void leave()} className={className}>
      <LogOut size={14} aria-hidden className="shrink-0" />
      {t("logOut")}
    </button>
  );
}

/** Ends the session and forgets what was loaded in it, even if the server cannot be told. */
export function useLogOut() {
  const queries = useQueryClient();
  const router = useRouter();
  return async () => {
    await logOut().catch(() => undefined);
    queries.clear();
    queries.setQueryData(meQuery.queryKey, null);
    await router.navigate({ to: "/login", search: {} });
  };
}
