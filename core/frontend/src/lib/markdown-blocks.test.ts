import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitBlocks } from "./markdown-blocks";

const line = fc.constantFrom(
  "text\n",
  "\n",
  "```\n",
  "```js\n",
  "~~~~\n",
  "- a\n",
  "  more\n",
  "| a |\n",
  "    code\n",
  "  \n",
  "end",
);
const document = fc.array(line, { maxLength: 40 }).map((lines) => lines.join(""));

describe("splitting Markdown into blocks", () => {
  it("loses and adds nothing", () => {
    fc.assert(fc.property(document, (text) => splitBlocks(text).blocks.join("") === text));
  });

  it("gives the same blocks piece by piece as at once", () => {
    fc.assert(
      fc.property(document, fc.integer({ min: 1, max: 7 }), (text, size) => {
        let split = splitBlocks("");
        for (let at = size; at < text.length + size; at += size) split = splitBlocks(text.slice(0, at), split);
        expect(split.blocks).toEqual(splitBlocks(text).blocks);
      }),
    );
  });

  it("starts again when the text is another one", () => {
    const before = splitBlocks("one\n\ntwo\n\nthree");
    expect(splitBlocks("other\n\ntext", before).blocks).toEqual(["other\n\n", "text"]);
  });

  it("keeps a code block together, blank lines and all", () => {
    expect(splitBlocks("a\n\n```\nx\n\ny\n```\n\nb").blocks).toEqual(["a\n\n", "```\nx\n\ny\n```\n\n", "b"]);
  });

  it("keeps what is indented with the list item before", () => {
    expect(splitBlocks("- a\n\n  more\n\nb").blocks).toEqual(["- a\n\n  more\n\n", "b"]);
  });
});
