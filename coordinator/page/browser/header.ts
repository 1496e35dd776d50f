import type { Connection } from "./connection.js";
import { byId, setData, setText } from "./dom.js";
import type { Page } from "./page.js";
import { remember, remembered, setTheme, setTitle } from "./window.js";
import { duration, oneLine } from "./words.js";

const words = {
  connecting: "Connecting",
  live: "Live",
  crowded: "Many are watching: asked again every few seconds",
} as const;

/** Who serves the page, and how old is what it shows. */
export function drawHeader(page: Page, connection: Connection): void {
  const link = byId("link");
  const server = page.store.server;
  const silence = connection.silentMs;
  const isOld = connection.state === "live" && server?.isConnected === false;
  setData(link, "state", isOld ? "old" : connection.state);
  if (connection.state === "lost") {
    const age = silence === undefined ? "" : `; what is shown is ${duration(silence / 1_000)} old`;
    setText(byId("link-text"), `Connection lost, trying again${age}`);
  } else
    setText(
      byId("link-text"),
      isOld ? "The coordinator does not reach NATS: this is what it last heard" : words[connection.state],
    );
  setText(
    byId("server"),
    server === undefined ? "" : `${oneLine(server.name, 80)} · version ${oneLine(server.version, 40)}`,
  );
  const running = [...page.store.contents.jobs.values()].filter(({ state }) => state === "running");
  const [first] = running;
  const work = running.reduce((sum, { progress }) => sum + (progress?.work ?? 0), 0);
  const done = running.reduce((sum, { progress }) => sum + (progress?.workDone ?? 0), 0);
  setTitle(first === undefined ? "Amalgam" : `${work === 0 ? 0 : Math.floor((100 * done) / work)} % · Amalgam`);
}

/** Light, dark, or as everything else on the reader's screen. */
export function drawTheme(page: Page): void {
  const select = byId("theme");
  select.value = remembered("theme", "auto");
  setTheme(select.value);
  select.addEventListener("change", () => {
    remember("theme", select.value);
    setTheme(select.value);
    page.coloursChanged();
  });
}
