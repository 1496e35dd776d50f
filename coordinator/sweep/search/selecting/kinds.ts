import type { SearchKind } from "../searching.js";
import { frankWolfe } from "./frank-wolfe/frank-wolfe.js";
import { greedySoup } from "./greedy-soup.js";
import { asha } from "./halving/asha.js";
import { hyperband } from "./halving/hyperband.js";
import { successiveHalving } from "./halving/successive-halving.js";
import { map } from "./map/map.js";
import { mapBayesian } from "./map/map-bayesian.js";
import { mapNested } from "./map/map-nested.js";
import { racing } from "./racing.js";

/** Searches that spend examples, merges or directions where they pay: halving, racing, soups, surrogates, Frank-Wolfe. */
export const selecting: readonly SearchKind[] = [
  successiveHalving,
  hyperband,
  asha,
  racing,
  greedySoup,
  map,
  mapNested,
  mapBayesian,
  frankWolfe,
];
