import { arceeFusion } from "./arcee-fusion.js";
import { breadcrumbs, breadcrumbsTies } from "./breadcrumbs.js";
import { dareLinear, dareTies } from "./dare.js";
import { della, dellaLinear } from "./della.js";
import { karcher } from "./karcher.js";
import { linear } from "./linear.js";
import type { MergeMethod } from "./method.js";
import { modelStock } from "./model-stock.js";
import { multislerp } from "./multislerp.js";
import { nearswap } from "./nearswap.js";
import { nuslerp } from "./nuslerp.js";
import { passthrough } from "./passthrough.js";
import { ram, ramPlus } from "./ram.js";
import { sce } from "./sce.js";
import { slerp } from "./slerp.js";
import { taskArithmetic } from "./task-arithmetic.js";
import { ties } from "./ties.js";

/** In the order that the documentation shows them. */
const all: readonly MergeMethod[] = [
  linear,
  slerp,
  nuslerp,
  multislerp,
  karcher,
  taskArithmetic,
  ties,
  dareLinear,
  dareTies,
  breadcrumbs,
  breadcrumbsTies,
  della,
  dellaLinear,
  sce,
  ram,
  ramPlus,
  modelStock,
  nearswap,
  arceeFusion,
  passthrough,
];

/** Every method by the name a recipe uses. Adding one is one new file and one line above. */
export const methods: ReadonlyMap<string, MergeMethod> = new Map(all.map((method) => [method.name, method]));
