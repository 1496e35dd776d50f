import type { ChannelCredentials, experimental as Experimental } from "@grpc/grpc-js";
import { experimental } from "@grpc/grpc-js";
import type { LiveCredentials } from "./live-credentials.js";
import type { ServerCheck } from "./server-check.js";

type Provider = Experimental.CertificateProvider;

/** Channels that connect, again and again, with what the credentials are at the time. */
export function channelCredentialsOf(live: LiveCredentials, check?: ServerCheck): ChannelCredentials {
  const provider = providers.get(live) ?? new LiveProvider(live);
  providers.set(live, provider);
  const verify = check === undefined ? {} : { checkServerIdentity: check.checkServerIdentity };
  return experimental.createCertificateProviderChannelCredentials(provider, provider, verify);
}

const providers = new WeakMap<LiveCredentials, LiveProvider>();

/** grpc-js's way of being told of certificates. It follows the files for as long as there is a channel. */
class LiveProvider implements Provider {
  readonly #live: LiveCredentials;
  readonly #stops = new Map<object, () => void>();

  constructor(live: LiveCredentials) {
    this.#live = live;
  }

  addCaCertificateListener(listener: Experimental.CaCertificateUpdateListener): void {
    this.#follow(listener, () => listener({ caCertificate: this.#live.current.ca }));
  }

  removeCaCertificateListener(listener: Experimental.CaCertificateUpdateListener): void {
    this.#leave(listener);
  }

  addIdentityCertificateListener(listener: Experimental.IdentityCertificateUpdateListener): void {
    this.#follow(listener, () => {
      const { certificate, key } = this.#live.current;
      listener({ certificate, privateKey: key });
    });
  }

  removeIdentityCertificateListener(listener: Experimental.IdentityCertificateUpdateListener): void {
    this.#leave(listener);
  }

  #follow(listener: object, tell: () => void): void {
    this.#stops.set(listener, this.#live.onChange(tell));
    tell();
  }

  #leave(listener: object): void {
    this.#stops.get(listener)?.();
    this.#stops.delete(listener);
  }
}
