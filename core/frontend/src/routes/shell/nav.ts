import { Activity, Bot, Cpu, KeyRound, LayoutDashboard, type LucideIcon, MessageSquare, Server } from "lucide-react";
import type { Messages } from "../../messages/en";

type Word = keyof Messages["nav"];

export interface NavItem {
  to: "/" | "/chat" | "/runs" | "/agents" | "/models" | "/services" | "/keys";
  word: Word;
  icon: LucideIcon;
  /** Needs this right to be of use. */
  scope?: string;
}

/** Only pages that exist. */
export const navigation: { word: Word; items: NavItem[] }[] = [
  {
    word: "use",
    items: [
      { to: "/", word: "overview", icon: LayoutDashboard },
      { to: "/chat", word: "chat", icon: MessageSquare },
      { to: "/runs", word: "runs", icon: Activity },
    ],
  },
  { word: "build", items: [{ to: "/agents", word: "agents", icon: Bot }] },
  {
    word: "operate",
    items: [
      { to: "/models", word: "models", icon: Cpu },
      { to: "/services", word: "services", icon: Server },
      { to: "/keys", word: "keys", icon: KeyRound, scope: "admin" },
    ],
  },
];
