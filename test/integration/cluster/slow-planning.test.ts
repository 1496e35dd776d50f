import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { withTempDir } from "../../support/checkpoints.js";
import { Cluster } from "../../support/cluster/cluster.js";
import { writeFamily, writeRecipe } from "../../support/merges.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";

// A plan that takes longer than a lease lives. A leader that made it in its own thread would fall silent meanwhile, and the
// other coordinator, which is no faster, would take the job over; then the first one again, and so on.

const reason = whyNoNats();
const slowPlan = fileURLToPath(new URL("../../support/cluster/slow-plan.js", import.meta.url));

test.skipIf(reason !== undefined)(
  `planning for long costs no leader its lease${reason === undefined ? "" : ` (${reason})`}`,
  async () => {
    await using folder = await withTempDir();
    await writeFamily(folder.path);
    const recipe = await writeRecipe(folder.path, "linear");
    vi.stubEnv("NODE_OPTIONS", `--import ${slowPlan}`);
    const nodes = { coordinators: 2, agents: 1, network: "loopback", secured: false } as const;
    await using cluster = await Cluster.start({ folder: folder.path, nats: natsPath(), ...nodes }).finally(
      vi.unstubAllEnvs,
    );
    await using watch = cluster.start("submit", recipe, join(folder.path, "output"), "--watch", "--json");
    const [leading, planned] = [await watch.event("leading"), await watch.event("planned")];
    // Else nothing was slow, and nothing shown.
    expect(Date.parse(String(planned["at"])) - Date.parse(String(leading["at"]))).toBeGreaterThan(13_000);
    await watch.event("done");
    const leaders = watch.events.filter(({ event }) => event === "leading").map(({ node }) => node);
    expect(leaders).toEqual([leading["node"]]);
    expect(watch.events.filter(({ event }) => event === "state").at(-1)).toMatchObject({ state: "done", starts: 1 });
  },
);
