import { IntlMessageFormat } from "intl-messageformat";
import { describe, expect, it } from "vitest";
import en from "./en";
import pseudoCatalogue, { pseudo } from "./pseudo";

const sources = Object.entries(
  import.meta.glob<string>(["../**/*.{ts,tsx}", "!../**/*.test.*", "!./*"], {
    query: "?raw",
    import: "default",
    eager: true,
  }),
);

function leaves(value: object, at = ""): [string, string][] {
  return Object.entries(value).flatMap(([k, v]) =>
    typeof v === "string" ? [[`${at}${k}`, v] as [string, string]] : leaves(v, `${at}${k}.`),
  );
}

describe("the catalogue", () => {
  it("has no text that nothing uses", () => {
    const code = sources.map(([, text]) => text).join("\n");
    const unused = leaves(en).filter(([key]) => !new RegExp(`\\b${key.split(".").at(-1)}\\b`).test(code));
    expect(unused.map(([key]) => key)).toEqual([]);
  });

  it.each(leaves(pseudoCatalogue))("the pseudo-locale's %s is a valid message", (_, text) => {
    expect(() => new IntlMessageFormat(text, "en")).not.toThrow();
  });

  it("the pseudo-locale changes letters, lengthens, and keeps arguments and plurals", () => {
    expect(pseudo("Chat with {name}")).toMatch(/^⟦Çĥ?h?åţ wîţh \{name\}·+⟧$/);
    const text = new IntlMessageFormat(pseudo("{count, plural, one {# run} other {# runs}}"), "en").format({
      count: 2,
    });
    expect(text).toContain("2 runs");
  });
});
