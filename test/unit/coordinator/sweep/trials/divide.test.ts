import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type BatchBlob, type Blob, keyOf } from "../../../../../coordinator/sweep/trials/blobs.js";
import { divideRequest } from "../../../../../coordinator/sweep/trials/divide.js";
import type { TrialRequest } from "../../../../../coordinator/sweep/trials/request.js";
import { TryRequestSchema } from "../../../../../shared/gen/amalgam/v1/agent_pb.js";

function blobOf(name: string, bytes: number): Blob {
  return { digest: createHash("sha256").update(name).digest(), bytes, read: async () => new Uint8Array(bytes) };
}

/** Two tasks with a graph of 10 bytes in common, and batches of these sizes. */
function requestOf(...sizes: readonly (readonly number[])[]): TrialRequest {
  const graph = blobOf("graph", 10);
  const batches = sizes.map((own, task) =>
    own.map((bytes, batch): BatchBlob => ({ ...blobOf(`${task} ${batch}`, bytes), batch, examples: 1, targets: 0 })),
  );
  return {
    message: create(TryRequestSchema, {
      trial: 7,
      tasks: batches.map((own, task) => {
        return { task, graphs: [{ role: "body", model: graph.digest }], batches: own.map(({ digest }) => digest) };
      }),
    }),
    unit: {} as TrialRequest["unit"],
    tasks: batches.map((own, part) => {
      const measure = { kind: "vectors" } as unknown as TrialRequest["tasks"][number]["measure"];
      return { part, measure, batches: new Map(own.map((blob) => [blob.batch, blob])) };
    }),
    blobs: [graph, ...batches.flat()],
  };
}

/** By request: parts and batches that are asked for, and the bytes of all blobs. */
function shape(requests: readonly TrialRequest[]) {
  return requests.map(({ tasks, blobs }) => ({
    asked: tasks.map(({ part, batches }) => `${part}: ${[...batches.keys()].join(" ")}`),
    bytes: blobs.reduce((total, { bytes }) => total + bytes, 0),
  }));
}

test("what fits stays one request", () => {
  expect(shape(divideRequest(requestOf([5, 5], [5]), 25))).toEqual([{ asked: ["0: 0 1", "1: 0"], bytes: 25 }]);
});

test("batches are spread in order over requests that fit, each with the graphs that it needs", () => {
  const divided = divideRequest(requestOf([5, 5, 5], [5, 5]), 20);
  expect(shape(divided)).toEqual([
    { asked: ["0: 0 1"], bytes: 20 },
    { asked: ["0: 2", "1: 0"], bytes: 20 },
    { asked: ["1: 1"], bytes: 15 },
  ]);
  for (const { message, tasks, blobs } of divided) {
    expect(message.trial).toBe(7);
    expect(message.tasks.map(({ task }) => task)).toEqual(tasks.map((_, i) => i));
    const named = message.tasks.flatMap((task) => [...task.graphs.map(({ model }) => model), ...task.batches]);
    expect(new Set(blobs.map(keyOf))).toEqual(new Set(named.map((digest) => keyOf({ digest }))));
  }
});

test("a batch that fits nowhere is asked for alone", () => {
  expect(shape(divideRequest(requestOf([50, 1]), 20)).map(({ bytes }) => bytes)).toEqual([60, 11]);
});
