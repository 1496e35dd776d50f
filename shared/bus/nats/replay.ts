import { createInbox, type Msg, nuid } from "nats";
import { type ConsumerInfo, callApi, nanosecondsPerMs } from "./api.js";
import type { Connection } from "./connection.js";
import { type Position, parsePosition } from "./position.js";

/** How often the server says that it has nothing to say. */
const heartbeatMs = 1_000;
/** Silence after which a replay counts as dead: its server was restarted, frozen or wiped. */
const silenceMs = 3_500;

export interface ReplayOptions {
  readonly stream: string;
  /** Subjects, such as `$KV.amalgam-state.jobs.>`. */
  readonly filter: string;
  /** From where: the latest of each subject, all there is, or a sequence. */
  readonly from: "latest" | "all" | number;
  onMessage(message: Msg, position: Position): void;
  /** Everything that was there at the start has been delivered. Once. */
  onCaughtUp(): void;
}

/** Messages of a stream in order, without gaps, until it ends. It always ends when something is wrong. */
export interface Replay {
  /** Never fails. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** Fails with `bus_failed` if it cannot begin; {@link isMissing} tells whether the stream is gone. */
export async function startReplay(connection: Connection, options: ReplayOptions): Promise<Replay> {
  const { nats } = connection;
  const act = "read from a stream";
  if (connection.closing.aborted) throw connection.failure(act, "the connection was closed", "CONNECTION_CLOSED");
  let received = 0;
  /** Messages that were there at the start. Not known before the server has said so. */
  let wanted = Number.POSITIVE_INFINITY;
  let isCaughtUp = false;
  let isOver = false;
  let heardAt = performance.now();
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const stop = (): void => {
    if (isOver) return;
    isOver = true;
    clearInterval(watchdog);
    stopListening();
    if (!subscription.isClosed()) subscription.unsubscribe();
    end();
  };
  const catchUp = (): void => {
    if (isCaughtUp || isOver) return;
    isCaughtUp = true;
    options.onCaughtUp();
  };
  const onControl = (message: Msg): void => {
    const stalled = message.headers?.get("Nats-Consumer-Stalled");
    // Flow control: the server waits for us to say that we have kept up.
    if (message.reply) message.respond();
    else if (stalled) nats.publish(stalled);
    const last = message.headers?.get("Nats-Last-Consumer");
    if (!last) return;
    if (Number(last) !== received) stop();
    // It is idle and does not wait for us, so nothing is left to deliver.
    else if (!stalled) catchUp();
  };
  const inbox = createInbox(connection.settings.inboxPrefix);
  const subscription = nats.subscribe(inbox, {
    callback: (error, message) => {
      if (isOver) return;
      if (error) return stop();
      heardAt = performance.now();
      if (message.headers?.code === 100) return onControl(message);
      const position = parsePosition(message.reply);
      if (position === undefined) return;
      received += 1;
      if (position.consumerSequence !== received) return stop();
      options.onMessage(message, position);
      // What is replaced before it is delivered stays in the server's count of what is to come, for good; what replaces it
      // comes later, so as many have come when all that were there have.
      if (position.pending === 0 || received >= wanted) catchUp();
    },
  });
  const watchdog = setInterval(() => {
    if (performance.now() - heardAt > silenceMs) stop();
  }, heartbeatMs);
  watchdog.unref();
  // A consumer in the server's memory may not be there any more after a reconnect.
  const stopListening = connection.onConnection(stop);
  // The filter stands in the subject, where a server can tell who may read what.
  const name = nuid.next();
  try {
    const { num_pending, delivered } = await callApi<ConsumerInfo>(
      connection,
      act,
      `CONSUMER.CREATE.${options.stream}.${name}.${options.filter}`,
      {
        stream_name: options.stream,
        config: {
          name,
          deliver_subject: inbox,
          filter_subject: options.filter,
          ...startOf(options.from),
          ack_policy: "none",
          max_deliver: 1,
          replay_policy: "instant",
          mem_storage: true,
          num_replicas: 1,
          idle_heartbeat: heartbeatMs * nanosecondsPerMs,
          flow_control: true,
          inactive_threshold: 10_000 * nanosecondsPerMs,
        },
      },
    );
    wanted = num_pending + delivered.consumer_seq;
    if (received >= wanted) catchUp();
  } catch (error) {
    stop();
    throw error;
  }
  return { ended, stop };
}

function startOf(from: ReplayOptions["from"]): Readonly<Record<string, unknown>> {
  if (from === "latest") return { deliver_policy: "last_per_subject" };
  if (from === "all") return { deliver_policy: "all" };
  return { deliver_policy: "by_start_sequence", opt_start_seq: from };
}
