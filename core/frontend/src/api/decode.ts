/**
 * Tolerant decoding: whatever the server sends, a page gets a value that it can show. A missing text is "", a missing
 * number or time is null (shown as a dash), an unknown word is "unknown", and an entry of a list that is not an object
 * is left out. Nothing here throws.
 */
import * as z from "zod/mini";

// Without this zod tries `new Function`, which the Content Security Policy reports as a violation.
z.config({ jitless: true });

export const text = z.catch(z.string(), "");
export const flag = z.catch(z.boolean(), false);
export const number = z.catch(z.nullable(z.number().check(z.refine(Number.isFinite))), null);

/** A time as RFC 3339, checked to be one that a browser can show; null otherwise. Go's zero time counts as missing. */
export const time = z.catch(
  z.nullable(z.string().check(z.refine((s) => !Number.isNaN(Date.parse(s)) && Date.parse(s) > 0))),
  null,
);

/** Any JSON value, kept as it is. */
export const json = z.optional(z.unknown());

/** One of the words, or "unknown". */
export function word<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.catch(z.enum([...words, "unknown"] as [T[number] | "unknown", ...(T[number] | "unknown")[]]), "unknown");
}

/** One of the words, or "" where the server leaves it out. */
export function optionalWord<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.catch(z.enum([...words, ""] as [T[number] | "", ...(T[number] | "")[]]), "");
}

export function list<T extends z.core.$ZodType>(item: T) {
  return z.pipe(
    z.pipe(
      z.catch(z.array(z.unknown()), []),
      z.transform((items: unknown[]) => items.filter((i) => typeof i === "object" && i !== null && !Array.isArray(i))),
    ),
    z.catch(z.array(item), []),
  );
}

export const texts = z.pipe(
  z.catch(z.array(z.unknown()), []),
  z.transform((items) => items.filter((i): i is string => typeof i === "string")),
);

/** A map of texts, such as metadata. */
export const textMap = z.pipe(
  z.catch(z.record(z.string(), z.unknown()), {}),
  z.transform((o) =>
    Object.fromEntries(Object.entries(o).filter((e): e is [string, string] => typeof e[1] === "string")),
  ),
);

/** A part that may be missing. */
export function optional<T extends z.core.$ZodType>(part: T) {
  return z.catch(z.nullable(part), null as z.core.output<T> | null);
}

/** A part that is always there: what is not an object counts as an empty one. */
export function part<S extends z.core.$ZodLooseShape>(shape: S) {
  const object = z.object(shape);
  return z.catch(object, () => z.parse(object, {}) as z.core.output<typeof object>);
}

/** Decodes an answer; it never throws for schemas made of the parts above. */
export function decode<T extends z.core.$ZodType>(schema: T, value: unknown): z.core.output<T> {
  const result = z.safeParse(schema, value);
  return result.success ? result.data : z.parse(schema, {});
}
