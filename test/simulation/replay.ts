import { simulate } from "./simulate.js";

// Shows what happens with one seed: node dist/test/simulation/replay.js SEED
const seed = Number(process.argv[2]);
if (!Number.isInteger(seed)) throw new TypeError("Usage: node dist/test/simulation/replay.js SEED");
const { trace, violations, seconds } = await simulate(seed);
process.stdout.write([...trace, `Seed ${seed}: ${seconds} seconds, ${violations.length} violations`, ""].join("\n"));
process.exit(violations.length === 0 ? 0 : 1);
