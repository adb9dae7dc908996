/** The chosen theme is a cookie, so that the server can put it into the page and the first paint has it. */
export type Theme = "light" | "dark";

const COOKIE = "sutazai_theme";
const YEAR = 31_536_000;

export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function chooseTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  // biome-ignore lint/suspicious/noDocumentCookie: the server reads it with the next page
  document.cookie = `${COOKIE}=${theme}; Path=/; Max-Age=${YEAR}; SameSite=Strict${secure}`;
}

/** For a server that did not put the theme into the page. */
export function restoreTheme(): void {
  const chosen = new RegExp(`(?:^|; )${COOKIE}=(light|dark)`).exec(document.cookie)?.[1];
  if (chosen !== undefined) document.documentElement.dataset.theme = chosen;
}
