import { useQuery } from "@tanstack/react-query";
import { Outlet, useLocation } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useTranslations } from "use-intl";
import { meQuery } from "../../api/queries";
import { SideBar, TopBar } from "./bars";

const Palette = lazy(() => import("./palette"));

/** The frame around every page: navigation, the palette, and where the keyboard goes after a change of page. */
export function Shell() {
  const t = useTranslations("app");
  const me = useQuery(meQuery).data;
  const scopes = me?.scopes ?? [];
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const before = useRef(pathname);
  const [finding, setFinding] = useState<"never" | "open" | "closed">("never");

  useEffect(() => {
    if (before.current === pathname) return;
    before.current = pathname;
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [pathname]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      setFinding((f) => (f === "open" ? "closed" : "open"));
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);

  const bar = { name: me?.name ?? "", scopes, canLogOut: me?.kind === "user", onFind: () => setFinding("open") };
  return (
    <div className="flex min-h-dvh flex-col md:flex-row">
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:fixed focus:left-2 focus:top-2 focus:z-50 focus:rounded-md focus:bg-accent focus:px-3 focus:py-2 focus:text-accent-ink"
      >
        {t("skip")}
      </a>
      <TopBar {...bar} />
      <SideBar {...bar} />
      <main
        ref={main}
        id="main"
        tabIndex={-1}
        className="flex min-w-0 flex-1 flex-col gap-3.5 p-3.5 md:h-dvh md:overflow-auto"
      >
        <Outlet />
      </main>
      {finding !== "never" && (
        <Suspense fallback={null}>
          <Palette
            open={finding === "open"}
            onOpenChange={(open) => setFinding(open ? "open" : "closed")}
            scopes={scopes}
          />
        </Suspense>
      )}
    </div>
  );
}
