/** Readers of what stands in the address after "?": anything may stand there. */

/** Plain texts: the router's own form would read a token such as 1e5 as a number. */
export function parseSearch(search: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(search));
}

export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    if (value !== undefined && value !== "") params.set(key, String(value));
  }
  return params.size > 0 ? `?${params}` : "";
}

export function searchText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function searchNumber(value: unknown): number | undefined {
  const n = typeof value === "string" ? Number(value) : value;
  return typeof n === "number" && Number.isSafeInteger(n) && n >= 0 ? n : undefined;
}

/** An address of this console, so that a link to the log-in cannot send elsewhere. */
export function localPath(value: unknown): string | undefined {
  if (typeof value !== "string" || !/^\/(?![/\\])/.test(value)) return undefined;
  try {
    const target = new URL(value, location.origin);
    return target.origin === location.origin ? target.pathname + target.search + target.hash : undefined;
  } catch {
    return undefined;
  }
}
