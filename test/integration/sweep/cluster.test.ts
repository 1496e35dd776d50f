import { afterAll, beforeAll, expect, test } from "vitest";
import { readTrials } from "../../../coordinator/sweep/store/store.js";
import { type RunningCommand, startAmalgam } from "../../support/command.js";
import { type NatsServer, startNatsServer, whyNoNats } from "../../support/nats-server.js";
import { scoreBits, startTrialAgent, sweepHere, timelessTrials, withSweeps } from "./real-sweeps.js";

// `amalgam sweep --nats`: on the agents of a cluster, which join, drain and vanish while it runs.

const why = whyNoNats();
const trials = 36;
let place: Awaited<ReturnType<typeof withSweeps>>;
let server: NatsServer | undefined;

beforeAll(async () => {
  place = await withSweeps();
  if (why === undefined) server = await startNatsServer({});
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const join = (name: string, ...words: readonly string[]) =>
  startTrialAgent(place.path, { name, words: ["--nats", server?.url ?? "", ...words] });

/** Waits for a trial that the agent has run. */
async function trialOf(command: RunningCommand, agent: string): Promise<void> {
  await command.line((line) => line.includes('"event":"trial"') && line.includes(`"agent":"${agent}"`));
}

test.skipIf(why !== undefined)(
  "a sweep outlives every agent that it was begun with",
  { timeout: 180_000 },
  async () => {
    const file = await place.write("sweep.yaml", { trials });
    const [golden, folder] = [place.at("golden"), place.at("cluster")];
    await sweepHere(file, golden);
    const words = ["--threads", "1", "--json", "--nats", server?.url ?? ""];
    await using command = startAmalgam(["sweep", file, "--out", folder, ...words]);
    await command.event("waiting", 1);
    await using without = await join("without", "--no-eval");
    // At once, or the first would have run all of it before the second is there.
    const [drained, killed] = await Promise.all([join("drained"), join("killed")]);
    await using _both = {
      [Symbol.asyncDispose]: async () => void (await Promise.all([drained.kill(), killed.kill()])),
    };
    await Promise.all(["drained", "killed"].map((name) => trialOf(command, name)));
    const [{ code: drainedCode }] = await Promise.all([drained.kill("SIGTERM"), killed.kill()]);
    expect(drainedCode).toBe(0);
    await command.event("waiting", 2);
    await using last = await join("last");
    const { code, stderr } = await command.ended;
    expect([code, stderr]).toEqual([0, ""]);
    expect(await timelessTrials(folder)).toEqual(await timelessTrials(golden));
    expect(await scoreBits(folder)).toEqual(await scoreBits(golden));
    // What was on record of an equal merge had to be run by nobody.
    const ran = new Set((await readTrials(folder)).flatMap(({ facts }) => facts?.agent ?? []));
    expect(ran).toEqual(new Set(["drained", "killed", "last"]));
    expect([without.child.exitCode, last.child.exitCode]).toEqual([null, null]);
  },
);
