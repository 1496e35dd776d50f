import type { SearchKind } from "../searching.js";
import { cmaEs, sepCmaEs } from "./cma-es.js";
import { grid } from "./grid.js";
import { nsgaII } from "./nsga-ii.js";
import { random } from "./random.js";
import { sobol } from "./sobol.js";
import { tpe } from "./tpe.js";

/** Searches that propose points by themselves: grids, random numbers, models of what was good, populations. */
export const sampling: readonly SearchKind[] = [grid, random, sobol, tpe, cmaEs, sepCmaEs, nsgaII];
