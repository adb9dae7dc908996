/**
 * Splits Markdown at blank lines outside of code fences, so that while an answer streams only its last block is parsed
 * again. The blocks joined together are the text.
 */
export interface Blocks {
  text: string;
  blocks: string[];
}

const fencePattern = /^ {0,3}(`{3,}|~{3,})/;

/** Splits text; `before` is the split of an earlier state of the same text and saves looking at it again. */
export function splitBlocks(text: string, before?: Blocks): Blocks {
  const grown = before !== undefined && before.blocks.length > 1 && text.startsWith(before.text);
  const kept = grown ? before.blocks.slice(0, -1) : [];
  const start = kept.reduce((sum, b) => sum + b.length, 0);
  return { text, blocks: [...kept, ...split(text.slice(start))] };
}

function split(text: string): string[] {
  const blocks: string[] = [];
  let block = "";
  let fence = "";
  let blank = false;
  for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    const empty = line.trim() === "";
    // A blank line ends a block; an indented line after it still belongs to the list item before.
    if (blank && !empty && fence === "" && !/^\s/.test(line)) {
      blocks.push(block);
      block = "";
    }
    const mark = fencePattern.exec(line)?.[1];
    if (mark !== undefined) {
      if (fence === "") fence = mark;
      else if (mark.startsWith(fence) && line.trim() === mark) fence = "";
    }
    block += line;
    blank = empty && fence === "";
  }
  return block === "" ? blocks : [...blocks, block];
}
