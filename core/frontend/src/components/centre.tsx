import type { ReactNode } from "react";
import { Logo } from "./logo";

/** The frame of pages outside the shell: one column in the middle. */
export function Centre({ title, children, wide = false }: { title: string; children: ReactNode; wide?: boolean }) {
  return (
    <main id="main" className="flex min-h-dvh flex-col items-center px-3.5 py-[8vh]">
      <div className={`flex w-full flex-col gap-4 ${wide ? "max-w-2xl" : "max-w-sm"}`}>
        <h1 className="flex items-center gap-2.5 text-xl font-semibold">
          <Logo size={24} />
          {title}
        </h1>
        {children}
      </div>
    </main>
  );
}
