/** The one way to call the API: JSON over fetch, with the session's cookie. */
import * as z from "zod/mini";
import { decode, list, number, part, text } from "./decode";

const problem = part({
  title: text,
  detail: text,
  status: number,
  code: text,
  errors: list(z.object({ field: text, message: text })),
});

/** An answer that is not a success, or no answer at all (`status` 0). `message` may be shown to a person. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: { field: string; message: string }[] = [],
  ) {
    super(message);
    this.name = "ApiError";
  }
}

export interface RequestOptions {
  body?: unknown;
  query?: Record<string, string | number | undefined>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

let unauthorized: () => void = () => {};

/** Says what to do when the session has ended: every 401 of an ordinary call ends up there. */
export function onUnauthorized(callback: () => void): void {
  unauthorized = callback;
}

export function url(path: string, query: RequestOptions["query"] = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(key, String(value));
  }
  return `/api/v1${path}${search.size > 0 ? `?${search}` : ""}`;
}

/** Path segment for an id or name that came from outside. */
export const segment = encodeURIComponent;

/** Makes the error of a failed answer; it reads RFC 9457 where the server sent it. */
export async function failure(response: Response): Promise<ApiError> {
  const body = decode(problem, await response.json().catch(() => null));
  const message = body.detail || body.title || `The server answered with status ${response.status}.`;
  return new ApiError(response.status, body.code, message, body.errors);
}

/** Calls the API and returns the decoded JSON, or undefined where the answer has no body. Throws ApiError. */
export async function request(method: string, path: string, options: RequestOptions = {}): Promise<unknown> {
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(url(path, options.query), {
      method,
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
      credentials: "same-origin",
    });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new ApiError(0, "unreachable", "The server cannot be reached.");
  }
  if (!response.ok) {
    const error = await failure(response);
    if (response.status === 401) unauthorized();
    throw error;
  }
  if (response.status === 204) return undefined;
  return response.json().catch(() => {
    throw new ApiError(response.status, "invalid_answer", "The server's answer cannot be read.");
  });
}
