import { learning } from "./learning/kinds.js";
import { sampling } from "./sampling/kinds.js";
import type { SearchKind } from "./searching.js";
import { selecting } from "./selecting/kinds.js";

/** Every kind of search that a sweep may name. */
export const searches: readonly SearchKind[] = [...sampling, ...selecting, ...learning];
