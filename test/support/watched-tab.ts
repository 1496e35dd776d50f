import type { Browser, BrowserContext, Page } from "playwright-core";

export interface WatchedTab extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** All that the page complains of, and all that it asks other servers for. */
  readonly trouble: readonly string[];
}

/** A tab at an address. `expected`: complaints that are the test's own doing. */
export async function openTab(
  browser: Browser,
  url: string,
  options: NonNullable<Parameters<Browser["newContext"]>[0]> & { readonly expected?: RegExp } = {},
): Promise<WatchedTab> {
  const { expected, ...rest } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...rest });
  const page = await context.newPage();
  const trouble: string[] = [];
  const complain = (text: string): void => {
    if (expected?.test(text) !== true) trouble.push(text);
  };
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complain(message.text());
  });
  page.on("pageerror", (error) => complain(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) complain(`asks for ${request.url()}`);
  });
  await page.goto(url);
  return { page, context, trouble, [Symbol.asyncDispose]: () => context.close() };
}
