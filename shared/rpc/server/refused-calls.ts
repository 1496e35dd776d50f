import { ResponderBuilder, ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import { printable } from "../../quote.js";
import type { Refusal } from "../tls/server-credentials.js";

/** Of a reason, which names paths that somebody else has chosen. */
const maxReasonLength = 300;

/** Tells of calls that ask for what nobody may have: files outside the roots, above all. */
export function tellRefusedCalls(onRefused: (refusal: Refusal) => void): ServerInterceptor {
  return (method, call) => {
    const responder = new ResponderBuilder()
      .withSendStatus((sent, next) => {
        if (sent.code === status.PERMISSION_DENIED) {
          const reason = printable(sent.details ?? "").slice(0, maxReasonLength);
          onRefused({ address: call.getPeer(), method: method.path, reason });
        }
        next(sent);
      })
      .build();
    return new ServerInterceptingCall(call, responder);
  };
}
