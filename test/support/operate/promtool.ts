import { type FoundProgram, findProgram } from "../find-program.js";

/** The promtool that is installed or can be fetched; or why there is none. */
export const findPromtool = (): FoundProgram => findProgram("promtool.mjs");
