import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRecipe } from "../../../coordinator/recipe/parse.js";
import { reportFiles, writeSweepReport } from "../../../coordinator/sweep/report/report.js";
import type { TrialRecord } from "../../../coordinator/sweep/types.js";
import { startBrowser, whyNoBrowser } from "../../support/browser.js";
import { withTempDir } from "../../support/checkpoints.js";
import { amalgam } from "../../support/command.js";
import { makeSweepFolder } from "../../support/made-report.js";

const failedTrial = 17;
const reason = whyNoBrowser();

/** Where a trial is drawn, in pixels of its plot. `point`: a function of the page from the place of a trial. */
const pixelOf = (plot: string, point: string, which: number): string =>
  `echarts.getInstanceByDom(document.getElementById("${plot}")).convertToPixel({ gridIndex: 0 }, (${point})(${which}))`;

const inData = `JSON.parse(document.getElementById("data").textContent)`;

describe.skipIf(reason !== undefined)(`the report in a browser${reason === undefined ? "" : ` (${reason})`}`, () => {
  let browser: Browser;
  let folder: Awaited<ReturnType<typeof withTempDir>>;
  let trials: readonly TrialRecord[];
  let address: string;

  beforeAll(async () => {
    folder = await withTempDir();
    trials = await makeSweepFolder(folder.path, { trials: 200, failed: [failedTrial] });
    const output = join(folder.path, "out");
    await writeSweepReport(output);
    address = pathToFileURL(join(output, reportFiles.html)).href;
    browser = await startBrowser();
  });

  afterAll(async () => {
    await browser?.close();
    await folder?.[Symbol.asyncDispose]();
  });

  /** A page of the report; `trouble` has all that it complains of, and all that it asks the network for. */
  async function open(options: Parameters<Browser["newContext"]>[0] = {}, hash = "") {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    const trouble: string[] = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) trouble.push(message.text());
    });
    page.on("pageerror", (error) => trouble.push(String(error)));
    page.on("request", (request) => {
      if (request.url() !== address) trouble.push(`asks for ${request.url()}`);
    });
    await page.goto(`${address}${hash}`);
    return { page, trouble, [Symbol.asyncDispose]: () => context.close() };
  }

  /** The place of a point that has no other one near it. */
  async function clickPoint(page: Page, plot: string, point: string, which: number): Promise<void> {
    const element = page.locator(`#${plot}`);
    await element.scrollIntoViewIfNeeded();
    const [x, y] = (await page.evaluate(pixelOf(plot, point, which))) as [number, number];
    await element.click({ position: { x, y } });
  }

  test("a click on a point shows the recipe of its trial", async () => {
    await using opened = await open();
    const { page, trouble } = opened;
    // The best trial for the first objective is at an edge of the plot.
    const best = trials.toSorted((a, b) => (a.losses[0] || 0) - (b.losses[0] || 0))[0] as TrialRecord;
    await page.selectOption("#score", "0");
    await page.waitForTimeout(50);
    const point = `(which) => [${inData}.trials.number[which], ${inData}.scores[0].values[which]]`;
    await clickPoint(page, "over-trials", point, best.trial - 1);
    expect(await page.textContent("#panel-title")).toBe(`Trial ${best.trial}`);
    expect(new URL(page.url()).hash).toBe(`#trial=${best.trial}`);
    const recipe = parseRecipe((await page.textContent("#recipe")) ?? "", "recipe.yaml");
    const sources = recipe.modules[0]?.slices[0]?.sources ?? [];
    const weights = sources.map(({ parameters }) => parameters.get("weight")?.value);
    expect(weights).toMatchObject([{ value: best.point["rotated weight"] }, { value: best.point["noisy weight"] }]);

    // The same trial is chosen in the table, and the next one by a key.
    expect(await page.getAttribute(`tr[data-which="${best.trial - 1}"]`, "aria-selected")).toBe("true");
    await page.focus("#over-trials");
    await page.keyboard.press("ArrowRight");
    await page.waitForTimeout(50);
    expect(await page.textContent("#panel-title")).toBe(`Trial ${best.trial + 1}`);
    await page.keyboard.press("Escape");
    expect(await page.isVisible("#panel")).toBe(false);
    expect(trouble).toEqual([]);
  });

  test("a rectangle chooses trials in all plots", async () => {
    await using opened = await open();
    const { page, trouble } = opened;
    const plot = page.locator("#over-trials");
    await plot.scrollIntoViewIfNeeded();
    const box = (await plot.boundingBox()) ?? expect.fail("The plot is not there");
    const at = async (number: number, share: number): Promise<[number, number]> => {
      const [x] = (await page.evaluate(
        `echarts.getInstanceByDom(document.getElementById("over-trials")).convertToPixel({ gridIndex: 0 }, [${number}, 0])`,
      )) as [number, number];
      return [box.x + x, box.y + share * box.height];
    };
    await page.mouse.move(...(await at(50.5, 0.13)));
    await page.mouse.down();
    await page.mouse.move(...(await at(90, 0.5)), { steps: 3 });
    await page.mouse.move(...(await at(100.5, 0.85)), { steps: 3 });
    await page.mouse.up();
    await page.waitForFunction(`document.getElementById("table-limit").textContent.startsWith("50 of 200 trials")`);
    const numbers = (await page.locator("#table tbody th").allTextContents()).map(Number);
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => 51 + i));

    await page.click("#clear");
    await page.waitForFunction(`document.querySelectorAll("#table tbody tr").length === 100`);
    expect(trouble).toEqual([]);
  });

  test("texts of models and data stay texts", async () => {
    await using opened = await open({}, `#trial=${failedTrial}`);
    const { page, trouble } = opened;
    expect(await page.title()).toBe("Sweep · sweep.yaml");
    expect(await page.textContent("#panel-note")).toContain(
      "failed: </script><script>document.title='broken'</script><!--",
    );
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.locator("script").count()).toBe(3);
    // What is beside the pointer is made of the same names.
    await page.hover(".plot#against", { position: { x: 300, y: 150 } });
    expect(trouble).toEqual([]);
  });

  test("the page fits a phone, and is dark where all else is", async () => {
    await using light = await open(
      { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
      "#trial=3",
    );
    await using dark = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark" });
    const colours: unknown[] = [];
    for (const { page, trouble } of [light, dark]) {
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
      colours.push(await page.evaluate("getComputedStyle(document.body).backgroundColor"));
      colours.push(
        await page.evaluate(
          `echarts.getInstanceByDom(document.getElementById("over-trials")).getOption().series.find(({ id }) => id === "trials").itemStyle.color`,
        ),
      );
      expect(trouble).toEqual([]);
    }
    expect(new Set(colours).size).toBe(4);
  });
});

test("what is known of a sweep that is not over is a page and a table", async () => {
  await using folder = await withTempDir();
  await makeSweepFolder(folder.path, { trials: 12 });
  const output = join(folder.path, "out");
  const { code, stdout } = await amalgam("sweep", "report", output);
  expect([code, stdout]).toEqual([0, `${join(output, "report.html")}\n${join(output, "trials.parquet")}\n`]);
  const page = await readFile(join(output, reportFiles.html), "utf8");
  expect(page).toContain("This sweep is not over");
  // One policy, two scripts that it knows, and data in which nothing can end the element that it stands in.
  expect(page.match(/sha256-/g)).toHaveLength(2);
  expect(page.match(/<script/g)?.length).toBe(3);
  const text = await readFile(join(output, "sweep.yaml"), "utf8");
  await writeFile(join(output, "sweep.yaml"), text.replace("[0, 1.5]", "[0, 1.25]"));
  await writeSweepReport(output);
  const without = await readFile(join(output, reportFiles.html), "utf8");
  expect(without).toContain("There are no recipes: the recipe has changed since the sweep began.");
});

test("there is no report where there is no sweep", async () => {
  const { code, stderr } = await amalgam("sweep", "report", "nowhere");
  expect([code, stderr]).toEqual([2, expect.stringContaining('There is no sweep in "nowhere"')]);
});
