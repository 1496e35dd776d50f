/** Something that a NATS server, or the way to it, is or is not fit for. */
export interface Finding {
  readonly level: "ok" | "warning" | "problem";
  readonly what: string;
  readonly why: string;
  /** What to do about it. */
  readonly remedy?: string;
  /** It cannot be seen from here. */
  readonly isUnseen?: true;
}
