/** Values as text. What is missing is a dash; nothing here throws, however odd the value. */
export const DASH = "—";

const integer = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en", { timeStyle: "medium" });
const dayAndClock = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const full = new Intl.DateTimeFormat("en", { dateStyle: "full", timeStyle: "long" });

export function count(value: number | null): string {
  return value === null ? DASH : integer.format(value);
}

/** US dollars: four digits below a dollar, because a run costs fractions of a cent. */
export function cost(usd: number | null): string {
  if (usd === null) return DASH;
  const digits = Math.abs(usd) >= 1 || usd === 0 ? 2 : 4;
  return new Intl.NumberFormat("en", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(usd);
}

/** US dollars for a million tokens: no more digits than a price list has. */
export function price(usd: number | null): string {
  if (usd === null) return DASH;
  return new Intl.NumberFormat("en", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: 2,
    maximumFractionDigits: 4,
  }).format(usd);
}

/** A part of one as a percentage. */
export function percent(part: number | null): string {
  if (part === null || !Number.isFinite(part)) return DASH;
  return new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 }).format(part);
}

/** A span of time: 4 ms, 4.1 s, 3 min 20 s, 5 h 2 min. */
export function duration(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return DASH;
  const span = Math.max(0, ms);
  if (span > 0 && span < 1) return `${Math.max(0.1, span).toFixed(1)} ms`;
  if (span < 1000) return `${integer.format(span)} ms`;
  if (span < 60_000) return `${(Math.floor(span / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(span / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60 * 48) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${integer.format(Math.floor(minutes / 1440))} d`;
}

/** Nothing answers in no time: zero means that it was not measured. */
export function latency(ms: number | null): string {
  return duration(ms === 0 ? null : ms);
}

/** How long ago or until, without the seconds that nobody reads: 40 s, 14 min, 3 h, 2 d. */
export function roughly(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return DASH;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${integer.format(Math.floor(seconds / 86_400))} d`;
}

/** Milliseconds between two times; the second one may be now. */
export function between(from: string | null, to: string | null, now?: number): number | null {
  if (from === null) return null;
  const end = to === null ? (now ?? Number.NaN) : Date.parse(to);
  const span = end - Date.parse(from);
  return Number.isNaN(span) ? null : span;
}

/** The clock for today, else the day too. */
export function when(time: string | null, now = Date.now()): string {
  if (time === null) return DASH;
  const at = new Date(time);
  const today = new Date(now).toDateString() === at.toDateString();
  return today ? clock.format(at) : dayAndClock.format(at);
}

export function exactly(time: string | null): string {
  return time === null ? DASH : full.format(new Date(time));
}

/** The last characters of an id: those of a UUIDv7 that tell two of them apart. */
export function shortId(id: string): string {
  return id === "" ? DASH : id.length > 12 ? id.slice(-8) : id;
}

export function orDash(text: string): string {
  return text === "" ? DASH : text;
}

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${(size / 1024).toFixed(1)} KB`;
  return `${(size / 1024 / 1024).toFixed(1)} MB`;
}

/** Both directions together; a dash when neither is known. */
export function tokens(usage: { input_tokens: number | null; output_tokens: number | null }): string {
  if (usage.input_tokens === null && usage.output_tokens === null) return DASH;
  return count((usage.input_tokens ?? 0) + (usage.output_tokens ?? 0));
}
