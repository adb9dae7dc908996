import { useEffect, useState } from "react";
import { between, duration, exactly, when } from "../lib/format";

/** A moment: short to read, exact on hover. */
export function Moment({ value }: { value: string | null }) {
  return (
    <time dateTime={value ?? undefined} title={value === null ? undefined : exactly(value)} className="num">
      {when(value)}
    </time>
  );
}

/** The time now, again every second while `running`. */
export function useNow(running: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

/** How long it took, or has taken until now. */
export function Elapsed({ from, to, running }: { from: string | null; to: string | null; running: boolean }) {
  const now = useNow(running && to === null);
  return <span className="num">{duration(between(from, to, running ? now : undefined))}</span>;
}
