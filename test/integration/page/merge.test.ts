import { join } from "node:path";
import { expect, test } from "vitest";
import type { Changes, Snapshot } from "../../../coordinator/page/types.js";
import { blockBytes, bulkyUnits, writeBulky } from "../../support/bulky.js";
import { withTempDir } from "../../support/checkpoints.js";
import { startAmalgam } from "../../support/command.js";

/** What a server tells until it ends, in order. */
async function follow(url: string): Promise<readonly (Changes & Partial<Snapshot>)[]> {
  const answer = await fetch(`${url}/api/events`);
  let text = "";
  try {
    for await (const part of answer.body ?? []) text += Buffer.from(part).toString();
  } catch {
    // It was cut off in the middle of the stream: there is no other end.
  }
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data));
}

test("a merge on one machine has a page while it runs, which hears how it ended", async () => {
  await using folder = await withTempDir();
  const recipes = await writeBulky(join(folder.path, "models"));
  const words = ["--http", "127.0.0.1:0", "--json", "--unit-size", String(blockBytes), "--slots", "1"];
  await using merge = startAmalgam(["merge", recipes.linear, join(folder.path, "out"), ...words]);
  const { url } = (await merge.event("http")) as unknown as { readonly url: string };
  const told = await follow(url);
  expect((await merge.ended).code).toBe(0);
  expect(told[0]?.server?.["this"]).toMatchObject({ canAct: false, isConnected: true });
  const states = told.flatMap(({ jobs }) => jobs?.["out"]?.state ?? []);
  expect(states.at(-1)).toBe("done");
  const units = told.flatMap(({ units }) => units?.["out"] ?? []).at(-1);
  expect(units).toMatchObject({ units: bulkyUnits, phase: "committing", plan: { method: "linear", models: 3 } });
  const nodes = Object.assign({}, ...told.map((part) => part.nodes ?? {})) as Record<string, unknown>;
  expect(Object.values(nodes)).toMatchObject([{ role: "agent", slots: 1 }]);
  await expect(fetch(url)).rejects.toThrow();
});
