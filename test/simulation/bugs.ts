/** Mistakes that can be switched on, to see that they are found. */
export interface Bugs {
  /** Agents obey leaders that were deposed. */
  readonly agentsIgnoreFences?: boolean;
  /** A leader renames whatever is staged, not only what bears its own generation. */
  readonly publishesWithoutFence?: boolean;
  /** A piece counts before its record is on the disk. */
  readonly acceptsBeforeSync?: boolean;
  /** The bytes of a resumed job are not read again. */
  readonly trustsStagedBytes?: boolean;
}
