import { z } from "zod";
import { noAgent } from "./cells.js";

const count = z.int().nonnegative();
const size = z.number().nonnegative();

/**
 * What a leader shows of a job's units and of who works on them, for people only. In {@link Bus.nodes} under `units.<id>`,
 * at most once a second and at most some 50 KB, mostly 4: lost with the engine, told again by whoever leads.
 */
export const unitsRecord = z.object({
  /** Since when this coordinator leads the job. ISO 8601. */
  since: z.string().max(40),
  /** `merging`, or which pass of statistics. */
  phase: z.string().max(60),
  /** Undefined until there is a plan. */
  plan: z.object({ method: z.string().max(100), models: count, tensors: count, files: count, bytes: size }).optional(),
  /** What the journal had when this leader began: pieces that are done and in none of the units. */
  kept: z.object({ pieces: count, bytes: size }),
  units: count,
  /** Units that a cell stands for; the last one may have less. */
  unitsPerCell: z.int().positive(),
  /** Base64 of what `packCells()` made, deflated without a header. */
  cells: z.string().max(16_384),
  /** Everybody who has had a unit, as far as there is room. */
  agents: z.array(z.object({ name: z.string().max(200), running: count, bytesPerSecond: size })).max(noAgent),
  /** Read and written by all agents in the last seconds. */
  bytesPerSecond: size,
  /** Bytes per second in equal stretches of time, the latest last; they grow longer as the job does. */
  history: z.object({ seconds: z.number().positive(), rates: z.array(size).max(240) }),
  /** Those that have run longest. */
  running: z.array(z.object({ unit: count, agent: z.string().max(200), attempt: count, seconds: size })).max(64),
  /** The latest, newest first. */
  failures: z
    .array(
      z.object({
        unit: count,
        agent: z.string().max(200),
        attempt: count,
        code: z.string().max(40),
        reason: z.string().max(400),
      }),
    )
    .max(32),
});
export type UnitsRecord = z.infer<typeof unitsRecord>;
