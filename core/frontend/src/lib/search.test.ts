import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { localPath, parseSearch, searchNumber, stringifySearch } from "./search";

describe("addresses", () => {
  it.each([
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "javascript:alert(1)",
    "\\\\evil.example",
    "/\t/evil.example",
    7,
    undefined,
  ])("do not lead out of the console: %s", (value) => {
    const path = localPath(value);
    expect(path === undefined || (path.startsWith("/") && !path.startsWith("//"))).toBe(true);
  });

  it("keep a path of the console with all that belongs to it", () => {
    expect(localPath("/runs?status=failed#x")).toBe("/runs?status=failed#x");
  });

  it("never lead out, whatever is given", () => {
    fc.assert(
      fc.property(
        fc.string().map((s) => `/${s}`),
        (value) => {
          const path = localPath(value);
          if (path !== undefined) expect(new URL(path, location.origin).origin).toBe(location.origin);
        },
      ),
    );
  });

  it("carry texts unchanged, such as a token that looks like a number", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string({ minLength: 1 })), (search) => {
        const plain = { ...search };
        expect(parseSearch(stringifySearch(plain))).toEqual(plain);
      }),
    );
    expect(parseSearch("?token=1e5")).toEqual({ token: "1e5" });
  });

  it.each([
    ["3", 3],
    ["-1", undefined],
    ["1.5", undefined],
    ["x", undefined],
    [undefined, undefined],
  ])("step %s", (value, expected) => expect(searchNumber(value)).toBe(expected));
});
