import { expect, test } from "vitest";
import type { AgentClient } from "../../../../coordinator/dispatch/agents.js";
import { locateSources } from "../../../../coordinator/dispatch/locate.js";
import { FileState } from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import { fakePlan } from "../../../support/dispatch.js";

type Locate = AgentClient["locate"];
type Asked = Parameters<Locate>[0];

/** An agent that has every third file, and whatever it was asked. */
function fakeAgent(answer = (paths: readonly string[]): FileState[] => paths.map(stateOf)) {
  const asked: Asked[] = [];
  const locate = async (request: Asked) => {
    asked.push(request);
    return { files: answer((request.files ?? []).map(({ path }) => path ?? "")), sharesOutput: asked.length === 1 };
  };
  return { asked, agent: { address: "127.0.0.1:1", client: { locate } as unknown as AgentClient } };
}

function stateOf(path: string): FileState {
  const states = [FileState.PRESENT, FileState.MISSING, FileState.CHANGED];
  return states[Number(path.slice(1)) % 3] ?? FileState.REFUSED;
}

function planOf(sources: number) {
  const base = fakePlan([{ name: "a", elements: 1 }]);
  const [source] = base.sources;
  if (source === undefined) throw new Error("The plan has no source");
  return { ...base, sources: Array.from({ length: sources }, (_, i) => ({ ...source, path: `/${i}` })) };
}

test("locateSources() asks for all files in calls of 10,000, and for the probe once", async () => {
  const { agent, asked } = fakeAgent();
  const leadership = { job: "job", fence: 3n };
  const probe = { path: "/probe", token: "t" };
  const located = await locateSources(agent, planOf(25_000), { leadership, probe });
  expect(asked.map(({ files }) => files?.length)).toEqual([10_000, 10_000, 5_000]);
  expect(asked.map((request) => request.probe)).toEqual([probe, undefined, undefined]);
  expect(asked.every((request) => request.leadership === leadership)).toBe(true);
  expect(located.agent).toBe("127.0.0.1:1");
  expect(located.sharesOutput).toBe(true);
  expect([0, 1, 2, 3, 24_999, 25_000, -1].map((source) => located.has(source))).toEqual([
    true,
    false,
    false,
    true,
    true,
    false,
    false,
  ]);
});

test("locateSources() asks for the probe also when there is no source", async () => {
  const { agent } = fakeAgent();
  expect((await locateSources(agent, planOf(0))).sharesOutput).toBe(true);
});

test("locateSources() asks for files where agents have them", async () => {
  const { agent, asked } = fakeAgent();
  await locateSources(agent, planOf(2), {
    placeOf: (source) => (source === 1 ? { path: "/7", modifiedMs: 2 } : undefined),
  });
  expect(asked[0]?.files).toMatchObject([
    { path: "/0", modifiedMs: 0 },
    { path: "/7", modifiedMs: 2 },
  ]);
});

test("locateSources() does not believe an answer of another length", async () => {
  const { agent } = fakeAgent(() => [FileState.PRESENT]);
  await expect(locateSources(agent, planOf(2))).rejects.toMatchObject({ code: "chunk_corrupt" });
});
