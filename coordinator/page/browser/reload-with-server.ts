import { byId } from "./dom.js";
import type { Page } from "./page.js";
import { reload } from "./window.js";

/**
 * A tab may be open for weeks, and the server another version by then: the page that belongs to it is loaded, as soon as
 * nobody is in the middle of something.
 */
export function reloadWithServer(page: Page): void {
  let first: string | undefined;
  const look = (): void => {
    const version = page.store.server?.version;
    first ??= version;
    const isBusy = ["details", "confirm", "door"].some((id) => byId(id).open);
    if (version !== first && !isBusy) reload();
  };
  page.store.on(["server"], look);
  page.onTick(look);
}
