import { createHash } from "node:crypto";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpLimits } from "../../../shared/http/limits.js";
import { startBrowser, whyNoBrowser } from "../../support/browser.js";
import { hostileTexts, type MadePageOptions, servePage } from "../../support/made-page.js";
import { openTab, type WatchedTab } from "../../support/watched-tab.js";

const reason = whyNoBrowser();
const token = "a-token-of-more-than-sixteen";
const queued = "qwen-slerp-5d01e7";
const failed = "phi-dare-c0ffee";

/** A report that tries what somebody's script in it would try. */
const attack = `document.title = self.origin;
try { document.title += document.cookie; } catch { document.title += " has no cookie"; }`;
const digest = createHash("sha256").update(attack).digest("base64");
const policy = `default-src 'none'; script-src 'sha256-${digest}'`;
const report = `<!doctype html><meta http-equiv="Content-Security-Policy" content="${policy}"><script>${attack}</script>`;

describe.skipIf(reason !== undefined)(
  `the status page in a browser${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let browser: Browser;
    // What most tests look at, one after the other: to load a page takes a second.
    let served: Awaited<ReturnType<typeof servePage>>;
    let tab: WatchedTab;
    let page: Page;

    beforeAll(async () => {
      browser = await startBrowser();
      served = await servePage({ isHostile: true, token, units: 100, report });
      tab = await openTab(browser, served.url, { expected: /401|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_EMPTY|503/ });
      page = tab.page;
      await isDrawn(page);
    });
    afterAll(async () => {
      await browser?.close();
      await served?.[Symbol.asyncDispose]();
    });

    const isDrawn = (shown: Page): Promise<void> =>
      shown.locator("article[data-job] canvas.strip[data-done]").first().waitFor();

    async function open(made: MadePageOptions = {}, options: Parameters<typeof openTab>[2] = {}) {
      const its = await servePage(made);
      const opened = await openTab(browser, its.url, options);
      await isDrawn(opened.page);
      return {
        ...{ served: its, page: opened.page, trouble: opened.trouble },
        [Symbol.asyncDispose]: async () => {
          await opened[Symbol.asyncDispose]();
          await its[Symbol.asyncDispose]();
        },
      };
    }

    const rowOf = (job: string) => page.locator(`tr[data-job="${job}"]`);
    const inLine = (name: string) => page.getByRole("button", { name }).first();
    const jobNow = (id: string) => served.board.get("jobs", id) ?? expect.fail(`There is no job ${id}`);

    test("names that are out to do harm stay text, and turn no line around", async () => {
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
      await inLine(hostileTexts.element).click();
      await page.locator("#details pre").waitFor();
      expect(await page.textContent("#details-title")).toBe(hostileTexts.element);
      expect(await page.textContent("#details pre")).toContain("merge_method: ties");
      await page.keyboard.press("Escape");
      expect(await page.locator("#details").isVisible()).toBe(false);
      expect(tab.trouble).toEqual([]);
    });

    test("cells are told by keys and by the pointer, in every colouring", async () => {
      const strip = page.locator("canvas.strip").first();
      expect(await strip.getAttribute("aria-label")).toMatch(/^100 units: 58 done, 2 running, 40 waiting, 2 with/);
      await strip.focus();
      await page.keyboard.press("ArrowRight");
      expect(await page.textContent("#tip")).toMatch(/^Done before this leader came12 pieces, 16\.9 GB/);
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowRight");
      const told = /^Unit \d+ is done; by /;
      expect(await page.textContent("#tip")).toMatch(
        /^Unit \d+ is doneby .+about \d.* s, about \d+ MB read and written$/,
      );
      expect(await page.textContent("#said")).toMatch(told);
      const pictures = new Set<unknown>();
      for (const name of ["State", "Time", "Node"]) {
        await page.locator(".choice label", { hasText: name }).first().click();
        await page.waitForTimeout(50);
        pictures.add(await strip.evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL()));
      }
      expect(await page.locator(".legend").first().textContent()).toContain("gpu-b1");
      expect(pictures.size).toBe(3);
      expect(tab.trouble).toEqual([]);
    });

    test("whoever has logged in is asked by name before anything is done", async () => {
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

      // One that nobody leads yet has no card: it is canceled where its details are.
      await inLine(queued).click();
      await page.locator("#details").getByRole("button", { name: "Cancel…" }).click();
      await page.getByRole("button", { name: "Cancel the job" }).click();
      await page.locator("#confirm").waitFor({ state: "hidden" });
      expect(served.asked).toContain(`cancel ${queued}`);
      await page.keyboard.press("Escape");
      await inLine(failed).click();
      await page.locator("#details pre").waitFor();
      expect(await page.locator("#details").getByRole("button", { name: "Cancel…" }).isVisible()).toBe(false);
      await page.keyboard.press("Escape");

      // The browser has forgotten who we are: nothing is done, and one can log in again.
      await tab.context.clearCookies();
      await page.getByRole("button", { name: "Drain gpu-a1" }).click();
      await page.getByRole("button", { name: "Drain the agent" }).click();
      await page.getByText("You are not logged in any more").waitFor();
      await page.getByRole("button", { name: "Leave it" }).click();
      await page.getByRole("button", { name: "Log in" }).waitFor();
      expect(await page.getByRole("button", { name: "Drain gpu-a1" }).isVisible()).toBe(false);
      expect(served.asked).toEqual(["drain gpu-a1", `cancel ${queued}`]);
      expect(tab.trouble).toEqual([]);
    });

    test("what changes is shown without being asked for, and takes the focus from nothing else", async () => {
      await rowOf(queued).locator(".state[data-state=queued]").waitFor();
      await rowOf(failed).getByRole("button").focus();
      const change = {
        state: "failed",
        reason: "The disk is full",
        code: "out_of_space",
        advice: "Make room",
      } as const;
      served.board.set("jobs", queued, { ...jobNow(queued), ...change, endedAt: new Date(0).toISOString() });
      await rowOf(queued).locator(".state[data-state=failed]").waitFor();
      expect(await rowOf(queued).textContent()).toContain("The disk is fullWhat to do: Make room");
      const order = await page.locator("#jobs-rows tr").evaluateAll((rows) => {
        return rows.map((row) => (row as unknown as { dataset: Record<string, string> }).dataset["job"]);
      });
      expect(order.at(-1)).toBe(queued);
      expect(await page.evaluate("document.activeElement.textContent")).toBe(failed);
      served.board.delete("jobs", queued);
      await rowOf(queued).waitFor({ state: "detached" });
      expect(tab.trouble).toEqual([]);
    });

    test("a connection that is lost is said to be, and comes back by itself, as does the page of another version", async () => {
      await page.getByText("Live", { exact: true }).waitFor();
      await served.stop();
      await page.getByText(/Connection lost, trying again; what is shown is \d/).waitFor();
      await page.evaluate("window.isOld = true");
      const server = served.board.get("server", "this") ?? expect.fail("There is a server");
      served.board.set("server", "this", { ...server, version: "0.2.0" });
      await served.start();
      await page.getByText(/version 0\.2\.0/).waitFor({ timeout: 15_000 });
      await expect.poll(() => page.evaluate("window.isOld === true")).toBe(false);
      await page.getByText("Live", { exact: true }).waitFor();
      expect(tab.trouble).toEqual([]);
    });

    test("the report of a sweep has its scripts, and nothing of what the visitor may do", async () => {
      await page.goto(`${served.url}/sweeps/out`);
      expect(await page.title()).toBe("null has no cookie");
    });

    test("where too many are watching, the server is asked now and then", async () => {
      await page.goto("about:blank");
      const stop = new AbortController();
      const others = Array.from({ length: httpLimits.streams }, () =>
        fetch(`${served.url}/api/events`, { signal: stop.signal }),
      );
      await Promise.all(others);
      await page.goto(served.url);
      await page.getByText("Many are watching").waitFor();
      await rowOf(failed).waitFor();
      stop.abort();
      await page.getByText("Live", { exact: true }).waitFor({ timeout: 15_000 });
    });

    test("the page fits a phone, and is dark where all else is or when it is told to be", async () => {
      const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
      await using opened = await open({ isHostile: true }, phone);
      const { page, trouble } = opened;
      const background = (): Promise<unknown> => page.evaluate("getComputedStyle(document.body).backgroundColor");
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
      const day = await background();
      await page.emulateMedia({ colorScheme: "dark" });
      const night = await background();
      expect(day).not.toBe(night);
      await page.emulateMedia({ colorScheme: "light" });
      await page.selectOption("#theme", "dark");
      expect(await background()).toBe(night);
      await page.reload();
      expect(await background()).toBe(night);
      expect(trouble).toEqual([]);
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
  },
);
