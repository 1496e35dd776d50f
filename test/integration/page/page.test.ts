import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBrowser, whyNoBrowser } from "../../support/browser.js";
import { hostileTexts, type MadePageOptions, servePage } from "../../support/made-page.js";
import { openTab } from "../../support/watched-tab.js";

const reason = whyNoBrowser();

describe.skipIf(reason !== undefined)(
  `the status page in a browser${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let browser: Browser;

    beforeAll(async () => {
      browser = await startBrowser();
    });
    afterAll(() => browser?.close());

    async function open(made: MadePageOptions = {}, options: Parameters<typeof openTab>[2] = {}) {
      const served = await servePage(made);
      const tab = await openTab(browser, served.url, options);
      await tab.page.locator("article[data-job] canvas.strip[data-done]").first().waitFor();
      return {
        ...{ served, page: tab.page, trouble: tab.trouble },
        [Symbol.asyncDispose]: async () => {
          await tab[Symbol.asyncDispose]();
          await served[Symbol.asyncDispose]();
        },
      };
    }

    test("names that are out to do harm stay text, and turn no line around", async () => {
      await using opened = await open({ isHostile: true });
      const { page, trouble } = opened;
      expect(await page.title()).toBe("58 % · Amalgam");
      expect(await page.locator("img").count()).toBe(1);
      expect(await page.locator("script").count()).toBe(1);
      const text = (await page.textContent("body")) ?? "";
      expect(text).toContain(hostileTexts.element);
      expect(text).toContain(hostileTexts.script);
      for (const invisible of ["\u202e", "\u2066", "\u0007"]) expect(text).not.toContain(invisible);
      expect(text).toContain("safe\\u{202e}txt.exe");
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(1280);

      // Its details, found by an address made of its name.
      await page.getByRole("button", { name: hostileTexts.element }).first().click();
      await page.locator("#details pre").waitFor();
      expect(await page.textContent("#details-title")).toBe(hostileTexts.element);
      expect(await page.textContent("#details pre")).toContain("merge_method: ties");
      await page.keyboard.press("Escape");
      expect(await page.locator("#details").isVisible()).toBe(false);
      expect(trouble).toEqual([]);
    });

    test("cells are told by keys and by the pointer, in every colouring", async () => {
      await using opened = await open({ units: 100 });
      const { page, trouble } = opened;
      const strip = page.locator("canvas.strip").first();
      expect(await strip.getAttribute("aria-label")).toMatch(/^100 units: 58 done, 2 running, 40 waiting, 2 with/);
      await strip.focus();
      await page.keyboard.press("ArrowRight");
      expect(await page.textContent("#tip")).toMatch(/^Done before this leader came12 pieces, 16\.9 GB/);
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowRight");
      expect(await page.textContent("#tip")).toMatch(
        /^Unit \d+ is doneby .+about \d.* s, about \d+ MB read and written$/,
      );
      expect(await page.textContent("#said")).toMatch(/^Unit \d+ is done; by /);
      const pictures = new Set<unknown>();
      for (const name of ["State", "Time", "Node"]) {
        await page.locator(".choice label", { hasText: name }).first().click();
        await page.waitForTimeout(50);
        pictures.add(await strip.evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL()));
      }
      expect(await page.locator(".legend").first().textContent()).toContain("gpu-b1");
      expect(pictures.size).toBe(3);
      expect(trouble).toEqual([]);
    });

    test("what changes is shown without being asked for", async () => {
      await using opened = await open({ jobs: 5 });
      const { page, served, trouble } = opened;
      const row = page.locator('tr[data-job="qwen-slerp-5d01e7"]');
      await row.locator(".state[data-state=queued]").waitFor();
      const job = served.board.get("jobs", "qwen-slerp-5d01e7");
      if (job === undefined) return expect.fail("There is such a job");
      served.board.set("jobs", job.id, {
        ...job,
        state: "failed",
        reason: "The disk is full",
        code: "out_of_space",
        advice: "Make room",
      });
      await row.locator(".state[data-state=failed]").waitFor();
      expect(await row.textContent()).toContain("The disk is fullWhat to do: Make room");
      served.board.delete("jobs", job.id);
      await row.waitFor({ state: "detached" });
      expect(trouble).toEqual([]);
    });

    test("a connection that is lost is said to be, and comes back by itself", async () => {
      await using opened = await open({}, {});
      const { page, served } = opened;
      await page.getByText("Live", { exact: true }).waitFor();
      await served.stop();
      await page.getByText(/Connection lost, trying again; what is shown is \d/).waitFor();
      await served.start();
      served.board.delete("jobs", "qwen-slerp-5d01e7");
      await page.getByText("Live", { exact: true }).waitFor({ timeout: 15_000 });
      await page.locator('tr[data-job="qwen-slerp-5d01e7"]').waitFor({ state: "detached" });
    });

    test("the page fits a phone, and is dark where all else is or when it is told to be", async () => {
      const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
      await using light = await open({ isHostile: true }, phone);
      await using dark = await open({}, { ...phone, colorScheme: "dark" });
      const background = "getComputedStyle(document.body).backgroundColor";
      for (const { page } of [light, dark])
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
      const [day, night] = [await light.page.evaluate(background), await dark.page.evaluate(background)];
      expect(day).not.toBe(night);
      await light.page.selectOption("#theme", "dark");
      expect(await light.page.evaluate(background)).toBe(night);
      await light.page.reload();
      expect(await light.page.evaluate(background)).toBe(night);
      expect([...light.trouble, ...dark.trouble]).toEqual([]);
    });

    test("a thousand jobs and nodes are listed a hundred at a time, and found", async () => {
      await using opened = await open({ jobs: 1_000, nodes: 1_000, units: 2_048 });
      const { page, trouble } = opened;
      expect(await page.locator("#jobs-rows tr").count()).toBe(100);
      expect(await page.textContent("#nodes-note")).toBe("The first 100 of 1,000 nodes; find narrows them down.");
      await page.fill("#nodes-find", "agent-777");
      await page.locator("#nodes-rows tr").nth(1).waitFor({ state: "detached" });
      expect(await page.locator("#nodes-rows tr").count()).toBe(1);
      await page.selectOption("#jobs-state", "canceled");
      await page.locator("#jobs-rows .state[data-state=done]").first().waitFor({ state: "detached" });
      expect(await page.textContent("#jobs-note")).toMatch(/^The first 100 of 166 jobs/);
      expect(trouble).toEqual([]);
    });

    test("whoever has logged in is asked by name before anything is done", async () => {
      const token = "a-token-of-more-than-sixteen";
      await using opened = await open({ token });
      const { page, served, trouble } = opened;
      await page.getByRole("button", { name: "Log in" }).click();
      await page.fill("#door-token", token);
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Drain gpu-a1" }).click();
      await page.getByRole("heading", { name: "Drain agent gpu-a1?" }).waitFor();
      await page.getByRole("button", { name: "Leave it" }).click();
      expect(served.asked).toEqual([]);
      await page.getByRole("button", { name: "Drain gpu-a1" }).click();
      await page.getByRole("button", { name: "Drain the agent" }).click();
      await expect.poll(() => served.asked).toEqual(["drain gpu-a1"]);
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByRole("button", { name: "Drain gpu-a1" }).waitFor({ state: "hidden" });
      expect(trouble).toEqual([]);
    });
  },
);
