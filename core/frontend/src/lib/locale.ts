/** English, or the pseudo-locale with ?locale=pseudo (kept until ?locale=en). */
import type { Messages } from "../messages/en";
import en from "../messages/en";

const KEY = "sutazai_locale";

export async function loadMessages(search = location.search): Promise<Messages> {
  const asked = new URLSearchParams(search).get("locale");
  if (asked !== null) localStorage.setItem(KEY, asked);
  return localStorage.getItem(KEY) === "pseudo" ? (await import("../messages/pseudo")).default : en;
}
