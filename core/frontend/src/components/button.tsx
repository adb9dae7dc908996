import { LoaderCircle } from "lucide-react";
import type { ButtonHTMLAttributes, ReactNode } from "react";

export type Look = "primary" | "plain" | "danger" | "quiet";

const looks: Record<Look, string> = {
  primary: "border-accent bg-accent text-accent-ink hover:brightness-110",
  plain: "border-line bg-surface text-ink hover:bg-raised",
  danger: "border-line bg-surface text-bad hover:bg-raised",
  quiet: "border-transparent bg-transparent text-ink-2 hover:bg-raised hover:text-ink",
};

/** Classes of a button, for links that look like one. */
export function buttonClass(look: Look = "plain"): string {
  return `inline-flex min-h-8 items-center justify-center gap-1.5 rounded-md border px-2.5 py-1 text-sm leading-5 ${looks[look]} disabled:cursor-not-allowed disabled:opacity-60`;
}

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  icon?: ReactNode;
  busy?: boolean;
}

export function Button({ look = "plain", icon, busy = false, children, className = "", ...rest }: Props) {
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled || busy}
      aria-busy={busy || undefined}
      className={`${buttonClass(look)} ${className}`}
    >
      {busy ? <LoaderCircle size={14} aria-hidden className="animate-spin" /> : icon}
      {children}
    </button>
  );
}
