import { dareLinear, dareTies } from "./dare.js";
import { linear } from "./linear.js";
import type { MergeMethod } from "./method.js";
import { passthrough } from "./passthrough.js";
import { slerp } from "./slerp.js";
import { taskArithmetic } from "./task-arithmetic.js";
import { ties } from "./ties.js";

/** In the order that the documentation shows them. */
const all: readonly MergeMethod[] = [linear, slerp, taskArithmetic, ties, dareLinear, dareTies, passthrough];

/** Every method by the name a recipe uses. Adding one is one new file and one line above. */
export const methods: ReadonlyMap<string, MergeMethod> = new Map(all.map((method) => [method.name, method]));
