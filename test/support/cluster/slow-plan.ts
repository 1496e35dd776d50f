// Imported into processes with `--import`: whichever thread digests a plan stands still for 14 seconds first, as one would
// that plans a thousand times as many tensors. It waits rather than works, so that tests stay cheap.

const slowMs = 14_000;
const plain = JSON.stringify;

function stringifySlowly(...words: Parameters<typeof JSON.stringify>): string {
  const [value]: readonly unknown[] = words;
  if (Array.isArray(value) && value[0] === "amalgam plan") {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, slowMs);
  }
  return plain(...words);
}

Object.assign(JSON, { stringify: stringifySlowly });
