import { AmalgamError } from "../../shared/errors.js";

/**
 * Says for machines, if it is machines that listen, that a command failed; returns the error, with a word on what becomes
 * of the work done so far where the same command goes on from it.
 */
export function failure(
  reason: unknown,
  stdout: NodeJS.WriteStream,
  options: { readonly json: boolean; readonly isKept: (error: AmalgamError) => boolean; readonly kept: string },
): AmalgamError {
  const error = AmalgamError.from(reason);
  if (options.json) {
    stdout.write(`${JSON.stringify({ event: "failed", code: error.code, message: error.message })}\n`);
  }
  if (!options.isKept(error)) return error;
  const remedy = `${options.kept} kept: run the same command again to go on`;
  return new AmalgamError(error.code, `${error.message}\n${remedy}`, { cause: error, details: error.details });
}
