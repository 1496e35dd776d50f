import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { connectAgents } from "../../../coordinator/dispatch/agents.js";
import { runAttempt } from "../../../coordinator/dispatch/attempt.js";
import { dispatch } from "../../../coordinator/dispatch/dispatcher.js";
import { createRequestBuilder } from "../../../coordinator/dispatch/request.js";
import type { MergeResponseInit } from "../../../shared/rpc/chunk-encoder.js";
import {
  collect,
  expectedOutput,
  fakePlan,
  memorySink,
  only,
  runner,
  startAgent,
  startFakeServer,
  streamed,
  temporaryFolder,
  unitPerTensor,
} from "../../support/dispatch.js";
import { pieceBytes } from "../../support/fake-script.js";

const plan = fakePlan([{ name: "a", elements: 10_000 }]);
const bytes = pieceBytes("a", 0, 10_000, "BF16");

/** An honest answer, in chunks of 5,000 bytes; each case spoils it. */
function honest(): MergeResponseInit[] {
  const chunks = [0, 5_000, 10_000, 15_000].map((at): MergeResponseInit => {
    const data = bytes.slice(at, at + 5_000);
    return { event: { case: "chunk", value: { piece: 0, offset: BigInt(at), data, crc32: crc32(data) } } };
  });
  const receipt = { piece: 0, bytes: 20_000n, crc32: crc32(bytes), inputsNonFinite: [0n, 0n] };
  return [...chunks, { event: { case: "receipt", value: receipt } }];
}

function flip(response: MergeResponseInit | undefined): MergeResponseInit {
  if (response?.event?.case !== "chunk") throw new Error("Not a chunk");
  const { data = new Uint8Array(), ...rest } = response.event.value;
  const damaged = Uint8Array.from(data);
  damaged[100] = (damaged[100] ?? 0) ^ 1;
  return { event: { case: "chunk", value: { ...rest, data: damaged } } };
}

const at = (index: number) => (list: MergeResponseInit[]) => list[index] as MergeResponseInit;
const [first, second, third, fourth, receipt] = [at(0), at(1), at(2), at(3), at(4)];

const cases: Readonly<Record<string, [(list: MergeResponseInit[]) => MergeResponseInit[], string]>> = {
  "a flipped bit": [
    (l) => [first(l), flip(second(l)), third(l), fourth(l), receipt(l)],
    'bytes [5,000, 10,000) of "a" damaged',
  ],
  "a gap": [(l) => [first(l), third(l), fourth(l), receipt(l)], 'left out bytes [5,000, 10,000) of "a"'],
  "a chunk twice": [(l) => [first(l), first(l), second(l)], 'sent bytes [0, 5,000) of "a" again'],
  "chunks out of order": [(l) => [second(l), first(l), third(l), fourth(l)], 'left out bytes [0, 5,000) of "a"'],
  "bytes beyond the end": [(l) => [first(l), second(l), third(l), fourth(l), beyond(), receipt(l)], "beyond the end"],
  "no receipt": [(l) => l.slice(0, 4), 'ended without the receipt for "a"'],
  "a receipt too early": [(l) => [first(l), receipt(l)], 'left out bytes [5,000, 20,000) of "a"'],
  "two receipts": [(l) => [...l, receipt(l)], 'the receipt for "a" twice'],
  nothing: [() => [], 'left out bytes [0, 20,000) of "a"'],
};

function beyond(): MergeResponseInit {
  const data = new Uint8Array(10);
  return { event: { case: "chunk", value: { piece: 0, offset: 20_000n, data, crc32: crc32(data) } } };
}

for (const [name, [spoil, message]] of Object.entries(cases)) {
  test(`an agent that sends ${name} is found out, and its call is canceled`, async () => {
    let over = false;
    const endsEarly = name === "nothing" || name === "no receipt";
    await using server = await startFakeServer({
      merge: async (_, send, call) => {
        for (const response of spoil(honest())) send(response);
        // What is missing shows only at the end; everything else must be noticed before, and end the call.
        if (!endsEarly) await new Promise((resolve) => call.on("cancelled", resolve));
        over = true;
      },
    });
    await using agents = await connectAgents([server.address]);
    const [unit] = unitPerTensor(plan);
    if (unit === undefined) throw new Error("The plan has no unit");
    const request = createRequestBuilder(plan, "job")(unit, { epoch: 1, task: streamed });
    const attempt = runAttempt(only(agents), request, { sink: memorySink(plan) });
    await expect(attempt).rejects.toMatchObject({ code: "chunk_corrupt", message: expect.stringContaining(message) });
    await expect.poll(() => over).toBe(true);
  });
}

test("an honest agent makes good what a lying one spoils", async () => {
  await using folder = await temporaryFolder();
  await using server = await startFakeServer({
    merge: (_, send) => {
      for (const response of honest()) send(response.event?.case === "chunk" ? flip(response) : response);
    },
  });
  await using agent = await startAgent(folder.path);
  await using agents = await connectAgents([server.address, agent.address]);
  const sink = memorySink(plan);
  const run = runner(plan, streamed, { sink });
  const results = await collect(dispatch(unitPerTensor(plan), { agents, run, retry: { firstDelayMs: 1 } }));
  expect(results[0]).toMatchObject({ epoch: 2, agent: agent.name });
  expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
});
