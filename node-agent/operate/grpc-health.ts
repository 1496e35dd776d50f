import type { MessageInitShape } from "@bufbuild/protobuf";
import { type handleServerStreamingCall, type handleUnaryCall, type ServiceDefinition, status } from "@grpc/grpc-js";
import { AgentService } from "../../shared/gen/amalgam/v1/agent_pb.js";
import {
  Health,
  type HealthCheckRequest,
  type HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from "../../shared/gen/grpc/health/v1/health_pb.js";
import { quote } from "../../shared/quote.js";
import { serviceDefinition } from "../../shared/rpc/service-definition.js";

type Answer = MessageInitShape<typeof HealthCheckResponseSchema>;

/** The whole server, and its one service. */
const known: ReadonlySet<string> = new Set(["", AgentService.typeName]);
/** Calls of Watch that are served at once. */
const maxWatchers = 256;

/** `grpc.health.v1.Health` of an agent: it serves until it drains. */
export class GrpcHealth {
  readonly #watchers = new Set<() => void>();
  #isServing = true;

  get definition(): ServiceDefinition {
    return serviceDefinition(Health);
  }

  /** It takes no more work: those who watch are told at once. */
  drain(): void {
    this.#isServing = false;
    for (const tell of this.#watchers) tell();
  }

  readonly handlers: {
    readonly check: handleUnaryCall<HealthCheckRequest, Answer>;
    readonly watch: handleServerStreamingCall<HealthCheckRequest, Answer>;
  } = {
    check: ({ request: { service } }, callback) => {
      if (known.has(service)) callback(null, this.#answer);
      else callback({ code: status.NOT_FOUND, details: `There is no service ${quote(service)} here` });
    },
    watch: (call) => {
      call.on("error", () => undefined);
      if (this.#watchers.size >= maxWatchers) {
        call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: `${maxWatchers} others are watching already` });
        return;
      }
      const { service } = call.request;
      const tell = (): void => {
        if (!call.cancelled) call.write(known.has(service) ? this.#answer : { status: Serving.SERVICE_UNKNOWN });
      };
      this.#watchers.add(tell);
      const leave = (): void => void this.#watchers.delete(tell);
      call.on("cancelled", leave);
      call.on("close", leave);
      tell();
    },
  };

  get #answer(): Answer {
    return { status: this.#isServing ? Serving.SERVING : Serving.NOT_SERVING };
  }
}
