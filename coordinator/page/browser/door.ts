import { byId, setText } from "./dom.js";
import type { Page } from "./page.js";
import { post } from "./requests.js";

/** Logging in and out. `onChange` makes the server look anew at who asks. */
export function drawDoor(page: Page, onChange: () => void): void {
  const redraw = (): void => {
    const canAct = page.store.server?.canAct === true;
    byId("log-in").hidden = !canAct || page.store.isAuthenticated;
    byId("log-out").hidden = !canAct || !page.store.isAuthenticated;
  };
  page.store.on(["server"], redraw);
  byId("log-in").addEventListener("click", () => byId("door").showModal());
  byId("door-no").addEventListener("click", () => byId("door").close());
  byId("door-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void enter(onChange);
  });
  byId("log-out").addEventListener("click", () => {
    void post("/logout").then(onChange);
  });
}

async function enter(onChange: () => void): Promise<void> {
  const token = byId("door-token");
  const { problem } = await post("/login", JSON.stringify({ token: token.value }));
  setText(byId("door-problem"), problem ?? "");
  if (problem !== undefined) return;
  token.value = "";
  byId("door").close();
  onChange();
}
