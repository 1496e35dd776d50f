import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";

/** Longest file name that Linux and macOS file systems store. */
const maxShardNameBytes = 255;

/**
 * Checks that a shard's name, which an index takes from whoever made the checkpoint, is the plain name of a file beside
 * the index. Joined unchecked, `../../other/secret.safetensors` would copy a stranger's tensors into a published merge;
 * escapes such as `%2e` are refused too, because a name may later be part of an address.
 */
export function assertShardName(shard: string, index: string): void {
  const danger = dangerIn(shard);
  if (danger !== undefined) {
    throw new AmalgamError("path_refused", `Cannot use shard ${quote(shard)} of ${quote(index)}: ${danger}`, {
      details: { file: index, shard },
    });
  }
  const problem = misfit(shard);
  if (problem !== undefined) {
    throw new AmalgamError("checkpoint_malformed", `Cannot use shard ${quote(shard)} of ${quote(index)}: ${problem}`, {
      details: { file: index, shard },
    });
  }
}

function dangerIn(name: string): string | undefined {
  if (/\p{C}/u.test(name)) return "its name has a control or invisible character";
  if (/[/\\]/.test(name)) return "its name is a path, and shards lie beside their index";
  if (name === "." || name.includes("..")) return 'its name has ".."';
  if (/%[0-9a-f]{2}/i.test(name)) return "its name has a percent escape";
  if (/^[a-z]:/i.test(name)) return "its name starts with a drive";
  return undefined;
}

function misfit(name: string): string | undefined {
  if (/\.(?:bin|pt|pth|ckpt|pkl)$/.test(name)) return pickleAdvice;
  if (!name.endsWith(".safetensors")) return 'its name does not end in ".safetensors"';
  if (Buffer.byteLength(name) > maxShardNameBytes) return `its name is longer than ${maxShardNameBytes} bytes`;
  return undefined;
}

/** Why PyTorch's older files are not read, and what to do. */
export const pickleAdvice =
  "pickle files can run code when they are read, so they are refused; convert them to safetensors first";
