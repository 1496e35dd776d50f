import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import type { Bus } from "../bus.js";
import { Connection } from "./connection.js";
import { NatsBus } from "./nats-bus.js";
import { type BusOptions, settle } from "./options.js";
import { judgeVersion } from "./versions.js";

export type { BusOptions, BusSecurity } from "./options.js";

/**
 * Connects to NATS and creates what is not there. Fails with `usage` for an address that is not safe to speak to, and
 * with `bus_failed` if nobody answers or the server cannot be trusted; afterwards absences are waited out.
 */
export async function openBus(options: BusOptions): Promise<Bus> {
  const settings = settle(options);
  const connection = await Connection.open(settings);
  try {
    const version = connection.nats.info?.version ?? "unknown";
    const verdict = judgeVersion(version);
    if (verdict.level === "problem" && !settings.allowUnsafe) {
      throw new AmalgamError(
        "bus_failed",
        `Cannot use nats-server ${quote(version)} at ${quote(settings.shownUrl)}: ${verdict.why}. ${verdict.remedy ?? ""}`,
        { details: { url: settings.shownUrl, version } },
      );
    }
    const bus = new NatsBus(connection);
    await bus.restore();
    return bus;
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}
