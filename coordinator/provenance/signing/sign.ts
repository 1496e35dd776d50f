import type { SignedFile } from "./statement.js";

/** Where model-signing looks for a signature unless it is told otherwise. */
export const signatureName = "model.sig";

/** Signs an output's files, and returns the text of its signature file. */
export type Sign = (files: readonly SignedFile[]) => string;
