import type { Bus } from "../../shared/bus/bus.js";
import type { Route } from "../../shared/http/route.js";
import type { Log } from "../../shared/log/log.js";
import { packageVersion } from "../../shared/rpc/version.js";
import { ClusterSource } from "./cluster-source.js";
import { pageRoutes } from "./routes.js";
import { SweepShelf } from "./sweeps/shelf.js";

export interface PageOptions {
  /** Of the coordinator that serves it. */
  readonly name: string;
  /** Folders of sweeps, or folders with such folders in them. */
  readonly sweeps?: readonly string[] | undefined;
  /** There is a token, so that the page's buttons can do something. */
  readonly canAct: boolean;
  readonly log: Pick<Log, "warning">;
}

export interface StatusPage extends AsyncDisposable {
  readonly routes: readonly Route[];
}

/** The status page of a cluster. Fails with `bus_failed` when the engine does not answer. */
export async function openPage(bus: Bus, { name, sweeps = [], canAct, log }: PageOptions): Promise<StatusPage> {
  const hasSweeps = sweeps.length > 0;
  const source = await ClusterSource.watch(bus, { name, version: packageVersion(), hasSweeps, canAct });
  const shelf = hasSweeps ? new SweepShelf(sweeps, source.board, log) : undefined;
  return {
    routes: pageRoutes(source, { sweeps: shelf }),
    [Symbol.asyncDispose]: async () => {
      await shelf?.[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    },
  };
}
