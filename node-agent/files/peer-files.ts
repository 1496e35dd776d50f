import { crc32 } from "node:zlib";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ByteGate } from "../../shared/checkpoint/byte-gate.js";
import { AmalgamError } from "../../shared/errors.js";
import { AgentService, type LeadershipSchema, type SourceFile } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { type ClientOf, createClient } from "../../shared/rpc/client.js";
import type { Security } from "../../shared/rpc/security.js";

/** A range of a source file that this agent does not have. */
export interface WantedRange {
  readonly file: Pick<SourceFile, "path" | "bytes" | "modifiedMs" | "peers" | "peerNames">;
  readonly offset: number;
  readonly length: number;
  readonly leadership?: MessageInitShape<typeof LeadershipSchema>;
}

export interface PeerFilesOptions {
  readonly security: Security;
  /** A peer that sends nothing for so long has stalled. @default 30 s */
  readonly stallMs?: number;
}

/** Small enough that a worker can go on with the first while others are on their way. */
const chunkBytes = 256 << 10;
/** What is fetched from one peer at once; more waits here rather than there, where others wait, too. */
const maxFetchedBytes = 8 << 20;
/** A frozen one is found in seconds by its pings; one that is busy says so every ten, and one whose disk is slow is waited for. */
const defaultStallMs = 30_000;
/** A peer that failed is asked after the others for so long. */
const avoidMs = 10_000;
/** A connection that nobody has used for so long is closed. */
const idleMs = 30_000;

/** Another agent may come to an address: then its certificate has another name. */
interface Whom {
  readonly address: string;
  /** Undefined: any agent. */
  readonly name: string | undefined;
}

interface Peer {
  readonly client: ClientOf<typeof AgentService>;
  readonly gate: ByteGate;
  /** Reads that ended because it sent nothing. */
  stalls: number;
  users: number;
  idle: NodeJS.Timeout | undefined;
}

/** Reads from other agents what this one does not have. Lives in the main thread, for all workers. */
export class PeerFiles {
  readonly #security: Security;
  readonly #stallMs: number;
  readonly #peers = new Map<string, Peer>();
  readonly #avoidedUntil = new Map<string, number>();

  constructor({ security, stallMs = defaultStallMs }: PeerFilesOptions) {
    this.#security = security;
    this.#stallMs = stallMs;
  }

  /**
   * Hands the range to `deliver` in order, checked. The next peer goes on where one fails. Fails with `io_failed`, which
   * names the peers, when none is left; with `fenced` when a peer has heard a later leader; with the signal's reason.
   */
  async fetch(wanted: WantedRange, deliver: (bytes: Uint8Array) => void, signal: AbortSignal): Promise<void> {
    const failures: string[] = [];
    let done = 0;
    for (const { address, name } of this.#inOrder(wanted.file)) {
      try {
        const rest = { ...wanted, offset: wanted.offset + done, length: wanted.length - done };
        await this.#inTurn({ address, name }, rest.length, signal, async (peer) => {
          for await (const bytes of this.#read(address, peer, rest, signal)) {
            // Nobody may write into the window of a unit that is over.
            signal.throwIfAborted();
            deliver(bytes);
            done += bytes.length;
          }
        });
        signal.throwIfAborted();
        return;
      } catch (reason) {
        if (signal.aborted) throw AmalgamError.from(signal.reason);
        const error = AmalgamError.from(reason);
        if (error.code === "fenced") throw error;
        this.#avoidedUntil.set(address, performance.now() + avoidMs);
        failures.push(`${address} (${error.message})`);
      }
    }
    const path = quote(wanted.file.path);
    throw new AmalgamError(
      "io_failed",
      `Cannot read ${path} from another agent: none of ${failures.length} serves it: ${failures.join(", ")}`,
      { details: { file: wanted.file.path } },
    );
  }

  close(): void {
    for (const { client, idle } of this.#peers.values()) {
      clearTimeout(idle);
      client.close();
    }
    this.#peers.clear();
  }

  /** As they are given, those that failed lately last. */
  #inOrder({ peers, peerNames }: WantedRange["file"]): readonly Whom[] {
    const now = performance.now();
    for (const [peer, until] of this.#avoidedUntil) if (until <= now) this.#avoidedUntil.delete(peer);
    const isAvoided = ({ address }: Whom): number => (this.#avoidedUntil.has(address) ? 1 : 0);
    const all = peers.map((address, index) => ({ address, name: peerNames[index] || undefined }));
    return all.sort((a, b) => isAvoided(a) - isAvoided(b));
  }

  /** Reads when the peer's other reads leave room. Those that wait for one that stalls do not find that out once more each. */
  async #inTurn(whom: Whom, bytes: number, signal: AbortSignal, read: (peer: Peer) => Promise<void>): Promise<void> {
    const peer = this.#use(whom);
    const { stalls } = peer;
    try {
      await peer.gate.hold(bytes, () => {
        signal.throwIfAborted();
        if (peer.stalls > stalls) throw stalled(whom.address, this.#stallMs);
        return read(peer);
      });
    } finally {
      this.#release(whom, peer);
    }
  }

  async *#read(
    address: string,
    peer: Peer,
    { file, offset, length, leadership }: WantedRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, void> {
    using watch = new StallWatch(this.#stallMs, () => {
      peer.stalls += 1;
      return stalled(address, this.#stallMs);
    });
    const { path, bytes, modifiedMs } = file;
    const responses = peer.client.read(
      {
        file: { path, bytes, modifiedMs },
        offset: BigInt(offset),
        length: BigInt(length),
        chunkBytes,
        ...(leadership && { leadership }),
      },
      { signal: AbortSignal.any([signal, watch.signal]) },
    );
    let left = length;
    for await (const { data, crc32: sum } of responses) {
      watch.restart();
      // It still waits for its turn.
      if (data.length === 0) continue;
      if (crc32(data) !== sum || data.length > left) {
        throw new AmalgamError("chunk_corrupt", `${data.length} bytes came of ${left}, or others than were sent`);
      }
      left -= data.length;
      yield data;
    }
    if (left > 0) throw new AmalgamError("chunk_corrupt", `${left} of ${length} bytes did not come`);
  }

  #use(whom: Whom): Peer {
    const { address, name } = whom;
    let peer = this.#peers.get(keyOf(whom));
    if (peer === undefined) {
      const client = createClient(AgentService, address, this.#security, { name });
      peer = { client, gate: new ByteGate(maxFetchedBytes), stalls: 0, users: 0, idle: undefined };
      this.#peers.set(keyOf(whom), peer);
    }
    clearTimeout(peer.idle);
    peer.users += 1;
    return peer;
  }

  #release(whom: Whom, peer: Peer): void {
    peer.users -= 1;
    if (peer.users > 0 || this.#peers.get(keyOf(whom)) !== peer) return;
    peer.idle = setTimeout(() => {
      this.#peers.delete(keyOf(whom));
      peer.client.close();
    }, idleMs);
    peer.idle.unref();
  }
}

function keyOf({ address, name }: Whom): string {
  return JSON.stringify([address, name]);
}

function stalled(address: string, stallMs: number): AmalgamError {
  return new AmalgamError("stalled", `Agent ${address} sent nothing for ${stallMs} ms`);
}

/** Aborts when it is not restarted in time. */
class StallWatch implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly signal: AbortSignal = this.#controller.signal;

  constructor(stallMs: number, reason: () => AmalgamError) {
    this.#timer = setTimeout(() => this.#controller.abort(reason()), stallMs);
  }

  restart(): void {
    this.#timer.refresh();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
