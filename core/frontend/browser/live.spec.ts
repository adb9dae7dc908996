import { expect, test } from "@playwright/test";
import { answer, ids } from "../dev/fixtures.ts";

const whole = answer.repeat(6).length;

test("an answer streams at little cost, and no more at its end than at its beginning", async ({ page }) => {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
  const cpu = async () => {
    const { metrics } = await cdp.send("Performance.getMetrics");
    return (metrics.find((m) => m.name === "TaskDuration")?.value ?? 0) * 1000;
  };
  const length = () =>
    page.evaluate(() => document.querySelector("[role=log] article:last-of-type")?.textContent?.length ?? 0);
  await page.goto(`/chat/${ids.live}`);
  await expect(page.getByText("What I found").first()).toBeVisible();
  // A piece of the fixture's stream is five characters.
  const cost: number[] = [];
  let [at, used] = [await length(), await cpu()];
  for (let part = 0; part < 4; part++) {
    await page.waitForTimeout(1200);
    const [nextAt, nextUsed] = [await length(), await cpu()];
    if (nextAt - at > 100) cost.push((nextUsed - used) / ((nextAt - at) / 5));
    [at, used] = [nextAt, nextUsed];
  }
  console.log(
    `RESULT streaming tokens=${Math.round(whole / 5)} cpu_ms_per_token=${cost.map((c) => c.toFixed(2)).join(",")}`,
  );
  expect(cost.length).toBeGreaterThan(1);
  for (const c of cost) expect(c).toBeLessThanOrEqual(2);
});

test("the answer is whole after a reload in the middle", async ({ page }) => {
  await page.goto(`/chat/${ids.live}`);
  await expect(page.getByText("What I found").first()).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { name: "What I found" })).toHaveCount(6, { timeout: 30_000 });
  await expect(page.locator("[role=log] table")).toHaveCount(6);
});

test("ten thousand runs scroll with few rows in the page", async ({ page }) => {
  await page.goto("/runs");
  const table = page.getByRole("table").locator("..");
  await expect(page.getByRole("row").first()).toBeVisible();
  for (let i = 0; i < 8; i++) {
    await table.evaluate((e) => e.scrollTo(0, e.scrollHeight));
    await page.getByRole("button", { name: "Load more runs" }).click();
    await expect(page.getByText(`${(i + 2) * 100} loaded`)).toBeVisible();
  }
  await table.evaluate((e) => e.scrollTo(0, e.scrollHeight / 2));
  await page.waitForTimeout(200);
  const shown = await page.evaluate(() => {
    const rows = [...document.querySelectorAll("[role=row]")];
    const box = document.querySelector("[role=table]")?.parentElement?.getBoundingClientRect();
    return { count: rows.length, inside: rows.filter((r) => r.getBoundingClientRect().top >= (box?.top ?? 0)).length };
  });
  expect(shown.count).toBeLessThan(80);
  expect(shown.inside).toBeGreaterThan(10);
});
