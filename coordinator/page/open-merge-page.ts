import { sleep, systemClock } from "../../shared/clock.js";
import { type HttpSettings, openHttp } from "../../shared/http/listen.js";
import { noLog } from "../../shared/log/log.js";
import type { JobEvent } from "../job/types.js";
import { type MergeFacts, MergeSource } from "./merge-source.js";
import { pageRoutes } from "./routes.js";

/** How long a page that is open has to hear how it ended. */
const lastWordMs = 1_000;

export interface MergePage {
  readonly url: string;
  observe(event: JobEvent): void;
  /** Says how it ended to whoever watches, and serves no more. */
  end(reason?: unknown): Promise<void>;
}

/** The status page of one merge, for as long as it runs. Fails with `usage` where it cannot listen. */
export async function openMergePage(facts: MergeFacts, http: HttpSettings): Promise<MergePage> {
  const source = new MergeSource(facts);
  const server = await openHttp(pageRoutes(source), http, noLog);
  return {
    url: server.url,
    observe: (event) => source.observe(event),
    end: async (reason) => {
      source.end(reason);
      if (source.board.readers > 0) await sleep(systemClock, lastWordMs);
      await server.close();
    },
  };
}
