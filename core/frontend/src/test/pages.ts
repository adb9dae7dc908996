import { ids } from "../../dev/fixtures";

/** Every page, what it asks for, and a word that shows it is there. */
export const pages: { address: string; asks: string[]; title: string | RegExp }[] = [
  { address: "/", asks: ["/overview", "/services", "/agents", "/approvals", "/me"], title: "Overview" },
  { address: "/chat", asks: ["/agents", "/runs"], title: "Chat" },
  { address: `/chat/${ids.done}`, asks: asksOf(ids.done), title: "support-triage" },
  { address: `/chat/${ids.approval}`, asks: [...asksOf(ids.approval), "/approvals"], title: "support-triage" },
  { address: "/runs", asks: ["/runs", "/agents"], title: "Runs" },
  { address: `/runs/${ids.done}?step=1`, asks: asksOf(ids.done), title: "support-triage" },
  {
    address: `/runs/${ids.interrupted}?step=1`,
    asks: [...asksOf(ids.interrupted), "/approvals"],
    title: "billing-agent",
  },
  { address: "/agents", asks: ["/agents"], title: "Agents" },
  { address: "/agents/support-triage", asks: ["/agents/support-triage"], title: "support-triage" },
  { address: "/models", asks: ["/models", "/models/health", "/models/routes"], title: "Models" },
  { address: "/services", asks: ["/services", "/models"], title: "Services" },
  { address: "/keys", asks: ["/keys"], title: "API keys" },
];

function asksOf(run: string): string[] {
  return [`/runs/${run}`, `/runs/${run}/steps`, `/runs/${run}/messages`];
}
