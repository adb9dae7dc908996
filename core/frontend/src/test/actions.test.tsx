/** What people do, through the whole console. */
import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import * as data from "../../dev/fixtures";
import en from "../messages/en";
import { type Call, openConsole, settle } from "./console";

const { ids } = data;
const click = async (name: string | RegExp, role = "button") => {
  fireEvent.click(screen.getByRole(role, { name }));
  await settle();
};
const type = (label: string, value: string) => fireEvent.change(screen.getByLabelText(label), { target: { value } });
const sent = (calls: Call[], method: string, path: string) =>
  calls.filter((c) => c.method === method && c.path === path);

// The fixtures' approvals expire in their own time.
beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse(data.at(0)), toFake: ["Date"] });
  return () => vi.useRealTimers();
});

describe("approvals", () => {
  const [policy, asked, interrupted] = data.approvals.map((a) => `/approvals/${a.id}`) as [string, string, string];

  it("show the exact arguments and when they expire", async () => {
    await openConsole(`/chat/${ids.approval}`);
    const card = within(screen.getByRole("region", { name: "Approval" }));
    expect(card.getByText(/"invoice": "INV-20931"/)).toBeTruthy();
    expect(card.getByText("Expires in 14 min")).toBeTruthy();
    expect(card.queryByText(en.approval.done)).toBeNull();
  });

  it("approve", async () => {
    const { calls } = await openConsole(`/chat/${ids.approval}`);
    await click("Approve erp.refund");
    expect(sent(calls, "POST", policy)[0]?.body).toEqual({ decision: "approve" });
  });

  it("edit the arguments, which must be a JSON object", async () => {
    const { calls } = await openConsole(`/chat/${ids.approval}`);
    await click("Edit");
    for (const [text, problem] of [
      ["{", /not valid JSON/],
      ["[1]", en.approval.needsObject],
    ] as const) {
      type(en.approval.editLabel, text);
      await click(/with these arguments/);
      expect(screen.getByText(problem)).toBeTruthy();
    }
    expect(sent(calls, "POST", policy)).toEqual([]);
    type(en.approval.editLabel, '{"amount": 1}');
    await click(/with these arguments/);
    expect(sent(calls, "POST", policy)[0]?.body).toEqual({ decision: "edit", arguments: { amount: 1 } });
  });

  it("deny with a reason", async () => {
    const { calls } = await openConsole(`/runs/${ids.approval}`);
    await click("Deny erp.refund");
    type(en.approval.denyLabel, "not today");
    await click("Deny erp.refund");
    expect(sent(calls, "POST", policy)[0]?.body).toEqual({ decision: "deny", comment: "not today" });
  });

  it("call an interrupted call again, or record what it answered", async () => {
    const first = await openConsole(`/runs/${ids.interrupted}`);
    expect(screen.queryByText(en.approval.edit)).toBeNull();
    await click("Call erp.pay again");
    expect(sent(first.calls, "POST", interrupted)[0]?.body).toEqual({ decision: "retry" });
    first.unmount();
    const second = await openConsole(`/runs/${ids.interrupted}`);
    await click(en.approval.done);
    type(en.approval.doneLabel, "paid, receipt 7");
    await click(en.approval.done);
    expect(sent(second.calls, "POST", interrupted)[0]?.body).toEqual({ decision: "done", result: "paid, receipt 7" });
  });

  it("answer a question with one of its answers or another", async () => {
    const first = await openConsole(`/chat/${ids.question}`);
    await click("Euro");
    expect(sent(first.calls, "POST", asked)[0]?.body).toEqual({ decision: "done", result: "Euro" });
    first.unmount();
    const second = await openConsole(`/chat/${ids.question}`);
    type(en.approval.answerLabel, "Yen");
    await click(en.approval.answer);
    expect(sent(second.calls, "POST", asked)[0]?.body).toEqual({ decision: "done", result: "Yen" });
  });

  it("say that somebody else was faster", async () => {
    await openConsole(`/chat/${ids.approval}`, {
      reply: ({ method }) => (method === "POST" ? { status: 409, body: { detail: "x" } } : undefined),
    });
    await click("Approve erp.refund");
    expect(screen.getByText(en.approval.conflict)).toBeTruthy();
  });

  it("cannot be decided when they have expired", async () => {
    vi.setSystemTime(Date.parse(data.at(841)));
    await openConsole(`/chat/${ids.approval}`);
    expect(screen.getByText(en.approval.expired)).toBeTruthy();
    expect(screen.getByRole("button", { name: "Approve erp.refund" }).hasAttribute("disabled")).toBe(true);
  });

  it("are decided on the overview too", async () => {
    const { calls } = await openConsole("/");
    await click(/^Needs approval ?erp\.refund/);
    await click("Approve erp.refund");
    expect(sent(calls, "POST", policy).length).toBe(1);
  });
});

describe("chat", () => {
  it("starts a run with the chosen agent and goes to it", async () => {
    const { calls, router } = await openConsole("/chat?agent=researcher");
    type("Message researcher", "Find it out");
    await click(en.chat.send);
    const [call] = sent(calls, "POST", "/runs");
    expect(call?.body).toEqual({ agent: "researcher", input: "Find it out" });
    expect(call?.headers.get("Idempotency-Key")).toMatch(/^[0-9a-f-]{36}$/);
    await waitFor(() => expect(router.state.location.pathname).toBe(`/chat/${ids.live}`));
  });

  it("sends attached files with their names", async () => {
    const { calls } = await openConsole("/chat");
    const picker = document.querySelector<HTMLInputElement>("input[type=file]");
    expect(picker).not.toBeNull();
    const file = new File(["a,b\n1,2\n"], "table.csv");
    if (picker) fireEvent.change(picker, { target: { files: [file] } });
    expect(screen.getByText("table.csv")).toBeTruthy();
    type("Message assistant", "Sum it up");
    await click(en.chat.send);
    await waitFor(() => expect(sent(calls, "POST", "/runs").length).toBe(1));
    expect(sent(calls, "POST", "/runs")[0]?.body).toEqual({
      agent: "assistant",
      input: "Sum it up",
      files: [{ name: "table.csv", content_base64: btoa("a,b\n1,2\n") }],
      metadata: { attachments: "table.csv" },
    });
  });

  it("keeps the text and the key when the start failed, so that a second try cannot start twice", async () => {
    let fail = true;
    const { calls } = await openConsole("/chat", {
      reply: ({ method }) =>
        method === "POST" && fail ? { status: 503, body: { detail: "the database cannot be reached" } } : undefined,
    });
    type("Message assistant", "Do it");
    await click(en.chat.send);
    expect(screen.getByText("the database cannot be reached")).toBeTruthy();
    expect((screen.getByLabelText("Message assistant") as HTMLTextAreaElement).value).toBe("Do it");
    fail = false;
    await click(en.chat.send);
    const keys = sent(calls, "POST", "/runs").map((c) => c.headers.get("Idempotency-Key"));
    expect(keys.length).toBe(2);
    expect(keys[0]).toBe(keys[1]);
  });

  it("folds tool calls to a line that opens", async () => {
    await openConsole(`/chat/${ids.done}`);
    const line = screen.getByText("billing.get_invoice", { selector: "summary span" });
    const details = line.closest("details");
    expect(details?.open).toBe(false);
    expect(within(details as HTMLElement).getByText(/"payments":2/)).toBeTruthy();
  });

  it("runs the same task again in a new run", async () => {
    const { calls, router } = await openConsole(`/chat/${ids.done}`);
    await click(en.chat.regenerate);
    await waitFor(() => expect(router.state.location.pathname).toBe(`/chat/${ids.live}`));
    expect(sent(calls, "POST", "/runs")[0]?.body).toEqual({
      agent: "support-triage",
      input: "Was invoice INV-20931 paid twice?",
    });
  });

  it("continues a finished conversation, stops a live one and resumes a failed one", async () => {
    const first = await openConsole(`/chat/${ids.done}`);
    type("Message support-triage", "And now?");
    await click(en.chat.send);
    expect(sent(first.calls, "POST", `/runs/${ids.done}/messages`)[0]?.body).toEqual({ text: "And now?" });
    first.unmount();
    const second = await openConsole(`/chat/${ids.live}`);
    await click(en.chat.stop);
    expect(sent(second.calls, "POST", `/runs/${ids.live}/cancel`).length).toBe(1);
    second.unmount();
    const third = await openConsole(`/chat/${ids.failed}`);
    expect(screen.getByText(/has used its 50 steps/)).toBeTruthy();
    await click(en.chat.resume);
    expect(sent(third.calls, "POST", `/runs/${ids.failed}/resume`).length).toBe(1);
  });

  it("links every message to its run", async () => {
    await openConsole(`/chat/${ids.done}`);
    const links = screen.getAllByRole("link", { name: /Show (this message's run|the step in the run)/ });
    expect(links.map((l) => l.getAttribute("href"))).toContain(`/runs/${ids.done}?step=3`);
    expect(links.every((l) => l.getAttribute("href")?.startsWith(`/runs/${ids.done}`))).toBe(true);
  });
});

describe("a run", () => {
  it("shows the attempts of the step in the address", async () => {
    await openConsole(`/runs/${ids.done}?step=1`);
    const tab = screen.getByRole("tab", { name: en.run.attempts });
    fireEvent.mouseDown(tab, { button: 0 });
    await settle();
    expect(screen.getByText("connection reset by peer")).toBeTruthy();
    expect(screen.getByText("Try 3")).toBeTruthy();
  });

  it("opens a sub-agent's steps", async () => {
    await openConsole(`/runs/${ids.done}`);
    await click("Show the steps of billing-agent");
    await waitFor(() => expect(screen.getByText("get_invoice")).toBeTruthy());
  });

  it("puts the chosen step into the address", async () => {
    const { router } = await openConsole(`/runs/${ids.done}`);
    await click(/^billing\.get_invoice/);
    expect(router.state.location.href).toBe(`/runs/${ids.done}?step=1`);
  });
});

describe("the list of runs", () => {
  it("is filtered by the address, and loads more where the page ended", async () => {
    const { calls, router } = await openConsole("/runs?status=failed");
    expect(screen.getByText("100 loaded")).toBeTruthy();
    await click(en.runs.more);
    expect(screen.getByText("200 loaded")).toBeTruthy();
    expect(sent(calls, "GET", "/runs").length).toBeGreaterThanOrEqual(2);
    fireEvent.change(screen.getByLabelText(en.runs.agent), { target: { value: "coder" } });
    await settle();
    expect(router.state.location.search).toEqual({ status: "failed", agent: "coder" });
  });

  it("keeps only the rows in sight in the page", async () => {
    await openConsole("/runs");
    expect(screen.getAllByRole("row").length).toBeLessThan(60);
  });
});

describe("set-up", () => {
  it("makes the administrator only with a long password that was typed twice", async () => {
    const { calls, router } = await openConsole("/setup?token=good", { who: "setup" });
    type(en.setup.username, "ada");
    type(en.setup.password, "short");
    await click(en.setup.createAdmin);
    expect(screen.getByText("10 more characters are needed.")).toBeTruthy();
    type(en.setup.password, "correct horse battery");
    type(en.setup.repeat, "correct horse");
    await click(en.setup.createAdmin);
    expect(screen.getByText(en.setup.differs)).toBeTruthy();
    expect(sent(calls, "POST", "/setup")).toEqual([]);
    type(en.setup.repeat, "correct horse battery");
    await click(en.setup.createAdmin);
    expect(sent(calls, "POST", "/setup")[0]?.body).toEqual({
      token: "good",
      username: "ada",
      password: "correct horse battery",
    });
    expect(router.state.location.search).toEqual({ step: "model" });
  });

  it("shows what the server says about a field", async () => {
    const errors = [{ field: "password", message: "this password is known to attackers" }];
    await openConsole("/setup?token=good", {
      who: "setup",
      reply: ({ method }) => (method === "POST" ? { status: 422, body: { detail: "no", errors } } : undefined),
    });
    type(en.setup.username, "ada");
    type(en.setup.password, "passwordpassword");
    type(en.setup.repeat, "passwordpassword");
    await click(en.setup.createAdmin);
    expect(screen.getByText("this password is known to attackers")).toBeTruthy();
  });

  it("says when the link is not valid", async () => {
    await openConsole("/setup?token=old", { who: "setup" });
    expect(screen.getByText(en.setup.linkInvalid)).toBeTruthy();
  });

  it("goes on at the model check and the sample run after a reload", async () => {
    const first = await openConsole("/setup");
    expect(screen.getByText(en.setup.modelFine)).toBeTruthy();
    await click(en.setup.next);
    expect(first.router.state.location.search).toEqual({ step: "run" });
    await click(en.setup.startRun);
    expect(sent(first.calls, "POST", "/runs")[0]?.body).toEqual({ agent: "assistant", input: en.setup.runSample });
    first.unmount();
    await openConsole(`/setup?step=run&run=${ids.done}`);
    expect(screen.getByText(en.setup.runFine)).toBeTruthy();
  });
});

describe("log-in", () => {
  it("says that name or password is wrong, and otherwise goes where one wanted to go", async () => {
    const { router } = await openConsole("/login?to=/services", { who: "out" });
    type(en.login.username, "ada");
    type(en.login.password, "wrong");
    await click(en.login.submit);
    expect(screen.getByText("the user name or the password is wrong")).toBeTruthy();
    type(en.login.password, "right");
    await click(en.login.submit);
    expect(router.state.location.pathname).toBe("/services");
  });

  it("ends the session", async () => {
    const { calls, router } = await openConsole("/");
    fireEvent.click(screen.getAllByRole("button", { name: en.nav.logOut })[0] as HTMLElement);
    await settle();
    expect(sent(calls, "DELETE", "/session").length).toBe(1);
    expect(router.state.location.pathname).toBe("/login");
  });
});

describe("API keys", () => {
  it("are shown once, with the rights and the expiry that were chosen", async () => {
    const { calls } = await openConsole("/keys");
    await click(en.keys.create);
    type(en.keys.name, "report");
    fireEvent.click(screen.getByLabelText(en.keys.approve));
    await act(() => Promise.resolve());
    fireEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: en.keys.create }));
    await settle();
    expect(sent(calls, "POST", "/keys")[0]?.body).toEqual({
      name: "report",
      scopes: ["read", "run", "approve"],
      expires_at: data.at(90 * 86_400),
    });
    expect(screen.getByText(/^sk-sutazai-x+$/)).toBeTruthy();
    await click(en.keys.done);
    expect(screen.queryByText(/^sk-sutazai-x+$/)).toBeNull();
  });

  it("are revoked after a question", async () => {
    const { calls } = await openConsole("/keys");
    await click("Revoke nightly report");
    await click(en.keys.revokeConfirm);
    expect(sent(calls, "DELETE", `/keys/${data.keys[0]?.id}`).length).toBe(1);
  });
});

describe("everywhere", () => {
  it("opens the palette with Ctrl K and goes where one picks", async () => {
    const { router } = await openConsole("/");
    fireEvent.keyDown(window, { key: "k", ctrlKey: true });
    await waitFor(() => expect(screen.getByRole("dialog")).toBeTruthy());
    fireEvent.change(screen.getByPlaceholderText(en.palette.placeholder), { target: { value: "services" } });
    await settle();
    fireEvent.keyDown(screen.getByPlaceholderText(en.palette.placeholder), { key: "Enter" });
    await waitFor(() => expect(router.state.location.pathname).toBe("/services"));
  });

  it("switches the theme and remembers it in a cookie", async () => {
    await openConsole("/");
    fireEvent.click(screen.getAllByRole("button", { name: en.nav.switchTheme })[0] as HTMLElement);
    const first = document.documentElement.dataset.theme;
    expect(document.cookie).toContain(`sutazai_theme=${first}`);
    fireEvent.click(screen.getAllByRole("button", { name: en.nav.switchTheme })[0] as HTMLElement);
    expect(document.documentElement.dataset.theme).not.toBe(first);
  });
});
