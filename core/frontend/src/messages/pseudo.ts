/**
 * A made-up language for tests: accented, longer and in brackets, so that a text which is cut off, or was never put into
 * the catalogue, is seen at once. Arguments in braces are kept.
 */
import en, { type Messages } from "./en";

const accents: Record<string, string> = {
  a: "å",
  b: "ƀ",
  c: "ç",
  d: "ð",
  e: "é",
  g: "ğ",
  i: "î",
  l: "ļ",
  n: "ñ",
  o: "ö",
  r: "ŕ",
  s: "š",
  t: "ţ",
  u: "û",
  y: "ý",
  A: "Å",
  C: "Ç",
  E: "É",
  I: "Î",
  N: "Ñ",
  O: "Ö",
  R: "Ŕ",
  S: "Š",
  T: "Ţ",
  U: "Û",
};

export function pseudo(text: string): string {
  let depth = 0;
  let plural = false;
  let out = "";
  for (const [i, c] of [...text].entries()) {
    if (c === "{") {
      // The branches of a plural hold texts, which stay as they are: they only need to remain valid.
      if (depth === 0) plural = /^\{\w+, plural/.test([...text].slice(i).join(""));
      depth++;
    }
    out += depth > 0 || plural ? c : (accents[c] ?? c);
    if (c === "}") {
      depth--;
      if (depth === 0) plural = false;
    }
  }
  return `⟦${out}${"·".repeat(Math.ceil(text.length * 0.3))}⟧`;
}

function convert(value: object): object {
  return Object.fromEntries(
    Object.entries(value).map(([key, v]) => [key, typeof v === "string" ? pseudo(v) : convert(v)]),
  );
}

export default convert(en) as Messages;
