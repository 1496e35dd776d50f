/** Where a delivered message stands, as its reply subject tells. */
export interface Position {
  /** Deliveries of this message, this one included. */
  readonly deliveries: number;
  readonly streamSequence: number;
  /** Counts what the consumer delivered: a gap is a loss. */
  readonly consumerSequence: number;
  /** When it was stored, in nanoseconds since 1970 by the server's clock. */
  readonly time: bigint;
  /** Messages that the consumer has yet to deliver. */
  readonly pending: number;
}

/**
 * Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<consumer sequence>.<time>.<pending>`. Since 2.10 a domain
 * and an account may stand before the stream (NATS ADR-15).
 */
export function parsePosition(reply: string | undefined): Position | undefined {
  const words = reply?.split(".") ?? [];
  const [deliveries, streamSequence, consumerSequence, time, pending] = words.slice(words.length === 9 ? 4 : 6);
  const numbers = [deliveries, streamSequence, consumerSequence, time, pending];
  const isWhole = words[0] === "$JS" && words[1] === "ACK" && numbers.every((word) => /^\d+$/.test(word ?? ""));
  if (!isWhole || time === undefined) return undefined;
  return {
    deliveries: Number(deliveries),
    streamSequence: Number(streamSequence),
    consumerSequence: Number(consumerSequence),
    time: BigInt(time),
    pending: Number(pending),
  };
}

/** Whether a message of a bucket says that its key was deleted. */
export function isDeletion(operation: string): boolean {
  return operation === "DEL" || operation === "PURGE";
}
