/**
 * GitHub's additions to Markdown (tables, strike-through, task lists, bare links) for reading only: the usual plugin
 * brings the code for writing Markdown along, a seventh of the chat page.
 */
import { gfmFromMarkdown } from "mdast-util-gfm";
import { gfm as syntax } from "micromark-extension-gfm";
import type { Processor } from "unified";

export function gfm(this: Processor): undefined {
  // The lists that remark-parse reads.
  const data = this.data() as Record<"micromarkExtensions" | "fromMarkdownExtensions", unknown[] | undefined>;
  data.micromarkExtensions = [...(data.micromarkExtensions ?? []), syntax({ singleTilde: false })];
  data.fromMarkdownExtensions = [...(data.fromMarkdownExtensions ?? []), gfmFromMarkdown()];
}
