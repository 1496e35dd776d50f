import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Snapshot } from "../../../coordinator/page/types.js";
import { startBrowser, whyNoBrowser } from "../../support/browser.js";
import { blockBytes } from "../../support/bulky.js";
import { withTempDir } from "../../support/checkpoints.js";
import { BulkyCluster } from "../../support/cluster/bulky-cluster.js";
import { makeSweepFolder } from "../../support/made-report.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";
import { openTab, type WatchedTab } from "../../support/watched-tab.js";

// A coordinator's page in a browser, while a job runs through a cluster of processes.

const reason = whyNoNats() ?? whyNoBrowser();
/** Units. */
const sixtyFour = { unitBytes: 2 * blockBytes };
const token = "a-token-of-more-than-sixteen";

describe.skipIf(reason !== undefined)(`the page of a cluster${reason === undefined ? "" : ` (${reason})`}`, () => {
  let setting: BulkyCluster;
  let browser: Browser;
  let folder: Awaited<ReturnType<typeof withTempDir>>;
  let address: string;
  let tab: WatchedTab;
  let page: Page;

  beforeAll(async () => {
    folder = await withTempDir();
    const [tokenFile, sweeps] = [join(folder.path, "token"), join(folder.path, "sweeps")];
    await writeFile(tokenFile, `${token}\n`);
    await mkdir(sweeps);
    await makeSweepFolder(sweeps, { trials: 40, failed: [3] });
    const http = ["--http", "127.0.0.1:0", "--http-token-file", tokenFile, "--sweeps", sweeps];
    setting = await BulkyCluster.start({
      ...{ folder: folder.path, network: "loopback", nats: natsPath(), coordinators: 1, agents: 2, ioLimit: "8MB" },
      coordinatorOptions: http,
    });
    const shown = /shows itself at (\S+)/;
    const [coordinator] = setting.cluster.coordinators;
    // It says so right after it has joined, which is when the cluster counts as up.
    while (!shown.test(coordinator?.output ?? "")) await sleep(20);
    address = shown.exec(coordinator?.output ?? "")?.[1] ?? "";
    browser = await startBrowser();
    tab = await openTab(browser, address, { expected: /401/ });
    page = tab.page;
  });

  afterAll(async () => {
    await browser?.close();
    await setting?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  const cellsOf = (job: string, state: string, least: number): Promise<void> => {
    const strip = page.locator(`article[data-job="${job}"] canvas.strip`);
    return expect
      .poll(async () => Number(await strip.getAttribute(`data-${state}`)), { timeout: 20_000, interval: 100 })
      .toBeGreaterThanOrEqual(least);
  };

  const rowOf = (job: string, state: string) => page.locator(`tr[data-job="${job}"] .state[data-state=${state}]`);

  test("a job is seen from its beginning to its end, and the agent that dies in it", async () => {
    await page.locator('tr[data-node="agent-2"] .state[data-state=ready]').waitFor();
    await using job = await setting.begin(sixtyFour);
    const { id } = job;
    await cellsOf(id, "running", 1);
    await cellsOf(id, "done", 3);
    const card = page.locator(`article[data-job="${id}"]`);
    expect(await card.textContent()).toMatch(/merging: \d+ of 64 units/);
    expect(await card.textContent()).toContain("led bycoordinator-1");

    await setting.cluster.agent(2).kill();
    await page.locator("#feed [data-level=warning]", { hasText: "agent-2" }).first().waitFor();
    await cellsOf(id, "failed", 1);
    // The cell says what became of its first attempt.
    const { units = {} } = (await (await fetch(`${address}/api/state`)).json()) as Snapshot;
    const unit = units[id]?.failures[0]?.unit ?? expect.fail("No failure is on record");
    await card.locator("canvas.strip").focus();
    for (let place = 0; place <= unit; place += 1) await page.keyboard.press("ArrowRight");
    expect(await page.textContent("#tip")).toMatch(
      new RegExp(`^Unit ${unit} .*attempt 1 failed on agent-2, agent_lost: `),
    );
    await page.locator('tr[data-node="agent-2"] .state[data-state=silent]').waitFor();

    await cellsOf(id, "done", 64);
    await rowOf(id, "done").waitFor();
    await job.expectDone();
    expect(tab.trouble).toEqual([]);
  });

  test("only whoever has the token can cancel a job, and has to say so twice", async () => {
    await using job = await setting.begin(sixtyFour);
    const { id } = job;
    const refused = await fetch(`${address}/api/jobs/${id}/cancel`, { method: "POST" });
    expect(refused.status).toBe(401);
    const card = page.locator(`article[data-job="${id}"]`);
    await card.waitFor();
    expect(await card.getByRole("button", { name: "Cancel…" }).isVisible()).toBe(false);

    await page.getByRole("button", { name: "Log in" }).click();
    await page.fill("#door-token", "not the token at all");
    await page.keyboard.press("Enter");
    await page.getByText("That is not the token").waitFor();
    await page.fill("#door-token", token);
    await page.keyboard.press("Enter");
    await card.getByRole("button", { name: "Cancel…" }).click();
    await page.getByRole("heading", { name: `Cancel job ${id}?` }).waitFor();
    expect(await (await fetch(`${address}/api/jobs/${id}`)).json()).toMatchObject({ cancel: false });
    await page.getByRole("button", { name: "Cancel the job" }).click();
    await rowOf(id, "canceled").waitFor();
    expect((await job.watch.ended).code).not.toBe(0);
    expect(tab.trouble).toEqual([]);
  });

  test("sweeps are listed", async () => {
    const card = page.locator('[data-sweep="out"]');
    await card.waitFor();
    expect(await card.textContent()).toMatch(/trials40/);
    expect(await card.locator("svg.plot").count()).toBe(2);
    expect(await card.getByRole("link").getAttribute("href")).toBe("/sweeps/out");
  });

  test("the same is there for scripts", async () => {
    const state = (await (await fetch(`${address}/api/state`)).json()) as Record<string, Record<string, unknown>>;
    expect(Object.keys(state["nodes"] ?? {}).sort()).toEqual(["agent-1", "agent-2", "coordinator-1"]);
    const [id = ""] = Object.keys(state["jobs"] ?? {});
    const details = (await (await fetch(`${address}/api/jobs/${id}`)).json()) as Record<string, unknown>;
    expect(details).toMatchObject({ id, recipe: { text: expect.stringContaining("merge_method: linear") } });
    expect((await fetch(`${address}/api/jobs/nobody`)).status).toBe(404);
  });
});
