// The console in a real browser, as a person uses it: from the one-time link to an approved tool call.
// Input: E2E_SETUP_URL (one-time link), CHROMIUM (executable). Output: one line of JSON for each case.
import { strict as assert } from "node:assert";
import { chromium } from "playwright-core";
import { cases } from "./cases.mjs";

/** A small model on two cores answers in seconds; the first call may wait until it is loaded. */
const PATIENCE = 240_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const page = await browser.newPage();
page.setDefaultTimeout(30_000);
const errors = [];
page.on("pageerror", (e) => errors.push(String(e)));
page.on("console", (m) => m.type() === "error" && /content security policy/i.test(m.text()) && errors.push(m.text()));
const base = new URL(process.env.E2E_SETUP_URL).origin;

const ended = (name) => page.getByRole("banner").or(page.locator("main")).getByText(name, { exact: true }).first();
const log = page.getByRole("log", { name: "Conversation" });

async function ask(agent, task) {
  await page.goto(`${base}/chat?agent=${agent}`);
  await page.getByLabel(`Message ${agent}`).fill(task);
  await page.getByRole("button", { name: "Send message" }).click();
  await page.waitForURL(/\/chat\/[0-9a-f-]{36}$/);
  return page.url().split("/").at(-1);
}

const { check, finish } = cases();

await check("the set-up link makes the administrator", async () => {
  await page.goto(process.env.E2E_SETUP_URL);
  await page.getByLabel("User name").fill("ann");
  await page.getByLabel("Password", { exact: true }).fill("quiet harbour lantern");
  await page.getByLabel("Password again").fill("quiet harbour lantern");
  await page.getByRole("button", { name: "Create administrator" }).click();
  await page.getByText("A model can be reached.").waitFor({ timeout: PATIENCE });
  await page.getByRole("button", { name: "Go on" }).click();
});

await check("the sample run of the set-up answers", async () => {
  await page.getByRole("button", { name: "Start sample run" }).click();
  await page.getByText("It works. SutazAI is ready.").waitFor({ timeout: PATIENCE });
});

await check("the set-up link works once", async () => {
  const other = await browser.newContext();
  const stranger = await other.newPage();
  await stranger.goto(process.env.E2E_SETUP_URL);
  await stranger.getByText("SutazAI is set up already.").waitFor();
  await other.close();
});

let chat = "";
await check("Chat shows the model's answer while it is written", async () => {
  chat = await ask("assistant", "Tell me about the city of Paris in five sentences.");
  const seen = new Set();
  const until = Date.now() + PATIENCE;
  while ((await log.getAttribute("aria-busy")) === "true") {
    assert.ok(Date.now() < until, "the answer does not end");
    const text = await log.getByRole("article").last().innerText();
    seen.add(text.length);
    await page.waitForTimeout(40);
  }
  await ended("Succeeded").waitFor();
  const answer = await log.getByRole("article", { name: "assistant" }).last().innerText();
  assert.ok(answer.length > 40, `the answer is ${JSON.stringify(answer)}`);
  assert.ok(seen.size >= 4, `the answer came in ${seen.size} pieces; it was not streamed`);
});

await check("the answer is still there after a reload", async () => {
  const answer = log.getByRole("article", { name: "assistant" }).last();
  // The links below it name its step once that is known, which may be a moment later.
  const said = async () => (await answer.innerText()).split("\nShow ")[0];
  const before = await said();
  await page.reload();
  await answer.waitFor();
  assert.equal(await said(), before);
});

await check("the conversation goes on", async () => {
  await page.getByLabel("Message assistant").fill("Thank you. Which country is it in?");
  await page.getByLabel("Message assistant").press("Enter");
  await page.waitForFunction(
    () => document.querySelectorAll("[role=log] article").length >= 4 && document.querySelector("[role=log]").ariaBusy === "false",
    null,
    { timeout: PATIENCE },
  );
});

await check("the run's waterfall shows its steps", async () => {
  await page.getByRole("link", { name: "Run", exact: true }).click();
  await page.waitForURL(`**/runs/${chat}`);
  const rows = page.getByRole("list", { name: "Steps" }).getByRole("listitem");
  await rows.filter({ hasText: "model" }).first().waitFor();
  assert.ok((await rows.count()) >= 3, "two turns have a model step each, below the run");
});

await check("a tool call waits for approval, is approved and made", async () => {
  const run = await ask("clerk", process.env.E2E_TOOL_TASK);
  const approval = page.getByRole("region", { name: "Approval" });
  await approval.getByRole("button", { name: "Approve calculator" }).click({ timeout: PATIENCE });
  await ended("Succeeded").waitFor({ timeout: PATIENCE });
  await page.goto(`${base}/runs/${run}`);
  await page.getByRole("list", { name: "Steps" }).getByRole("listitem").filter({ hasText: "calculator" }).waitFor();
});

await check("no script failed and no policy was broken", async () => assert.deepEqual(errors, []));

await browser.close();
finish();
