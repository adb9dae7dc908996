import { Link, useRouter } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, ReactNode } from "react";
import { localPath } from "../lib/search";

/** A link to a run; without an id there is nothing to link to. */
export function RunLink({
  id,
  step,
  children,
  className = "",
}: {
  id: string;
  step?: number | null;
  children: ReactNode;
  className?: string;
}) {
  if (id === "") return <span className={className}>{children}</span>;
  return (
    <Link
      to="/runs/$run"
      params={{ run: id }}
      search={{ step: step ?? undefined }}
      className={`hover:underline ${className}`}
    >
      {children}
    </Link>
  );
}

export function AgentLink({
  name,
  children,
  className = "",
}: {
  name: string;
  children: ReactNode;
  className?: string;
}) {
  if (name === "") return <span className={className}>{children}</span>;
  return (
    <Link to="/agents/$name" params={{ name }} className={`hover:underline ${className}`}>
      {children}
    </Link>
  );
}

/** A link to a path that the server named; one that leads out of the console is not followed. */
export function PathLink({
  path,
  children,
  ...rest
}: { path: string; children: ReactNode } & AnchorHTMLAttributes<HTMLAnchorElement>) {
  const router = useRouter();
  const local = localPath(path);
  if (local === undefined) return null;
  return (
    <a
      {...rest}
      href={local}
      onClick={(event) => {
        if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        router.history.push(local);
      }}
    >
      {children}
    </a>
  );
}
