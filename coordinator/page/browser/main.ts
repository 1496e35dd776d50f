import { drawActing } from "./acting.js";
import { Connection } from "./connection.js";
import { drawDetails } from "./details.js";
import { drawDoor } from "./door.js";
import { drawFeed } from "./feed.js";
import { drawHeader, drawTheme } from "./header.js";
import { drawJobs } from "./jobs.js";
import { drawNodes } from "./nodes.js";
import { Page } from "./page.js";
import { reloadWithServer } from "./reload-with-server.js";
import { Store } from "./store.js";
import { drawSweeps } from "./sweeps.js";
import { drawTiles } from "./tiles.js";
import { drawWork } from "./work.js";

/** What grows old on the page, such as "2 min ago", is written anew so often, in seconds. */
const tickEvery = 5;

const store = new Store();
const connection: Connection = new Connection(store, () => showHeader());
const page = new Page(store, () => connection.serverNow);
const showHeader = (): void => drawHeader(page, connection);

drawTheme(page);
drawTiles(page);
drawWork(page);
drawJobs(page);
drawNodes(page);
drawFeed(page);
drawSweeps(page);
drawDetails(page);
drawActing(() => connection.restart());
drawDoor(page, () => connection.restart());
store.on(["server", "jobs"], showHeader);
reloadWithServer(page);

let seconds = 0;
setInterval(() => {
  seconds += 1;
  connection.look();
  showHeader();
  if (seconds % tickEvery === 0) page.tick();
}, 1_000);
