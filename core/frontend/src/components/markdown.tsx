import { memo, useRef } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import rehypeSanitize, { defaultSchema } from "rehype-sanitize";

import remend from "remend";
import { useTranslations } from "use-intl";
import { gfm } from "../lib/gfm";
import { type Blocks, splitBlocks } from "../lib/markdown-blocks";

// Raw HTML is text already (react-markdown makes none of it); this holds for what Markdown itself can say.
const schema = { ...defaultSchema, protocols: { ...defaultSchema.protocols, href: ["http", "https", "mailto"] } };

function Picture({ src, alt }: { src?: unknown; alt?: string }) {
  const t = useTranslations("chat");
  const name = t("image", { alt: alt || (typeof src === "string" ? src : "") });
  // Loading a picture would tell its server what the answer says, so it is only named and linked.
  if (typeof src !== "string" || !/^https?:\/\//i.test(src)) return <span>{name}</span>;
  return <Outside href={src}>{name}</Outside>;
}

function Outside({ href, children }: { href?: string; children?: React.ReactNode }) {
  if (!href) return <span>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noreferrer noopener nofollow">
      {children}
    </a>
  );
}

const components: Components = {
  a: ({ href, children }) => <Outside href={href}>{children}</Outside>,
  img: ({ src, alt }) => <Picture src={src} alt={alt} />,
  // biome-ignore lint/a11y/noNoninteractiveTabindex: a wide block scrolls, so the keyboard must reach it
  pre: ({ children }) => <pre tabIndex={0}>{children}</pre>,
  input: ({ checked }) => <span>{checked ? "☑" : "☐"}</span>,
  // The page has its first heading already, and an answer needs no more than two levels.
  h1: ({ children }) => <h2>{children}</h2>,
  h4: ({ children }) => <h3>{children}</h3>,
  h5: ({ children }) => <h3>{children}</h3>,
  h6: ({ children }) => <h3>{children}</h3>,
};
const remarkPlugins = [gfm];
const rehypePlugins = [[rehypeSanitize, schema]] as [[typeof rehypeSanitize, typeof schema]];

const Block = memo(function Block({ text }: { text: string }) {
  return (
    <div className="md mdblock">
      <ReactMarkdown remarkPlugins={remarkPlugins} rehypePlugins={rehypePlugins} components={components}>
        {text}
      </ReactMarkdown>
    </div>
  );
});

/** Model output. While it streams only the last block is parsed again, with its open marks closed. */
export function Markdown({ text, live = false }: { text: string; live?: boolean }) {
  const before = useRef<Blocks>(undefined);
  const split = splitBlocks(text, before.current);
  before.current = split;
  const last = split.blocks.length - 1;
  return split.blocks.map((block, i) => <Block key={i} text={live && i === last ? remend(block) : block} />);
}
