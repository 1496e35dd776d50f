import { AmalgamError } from "../errors.js";
import type { Log } from "../log/log.js";
import { quote } from "../quote.js";
import { liveCredentials, type Security } from "../rpc/security.js";
import { type CertificateFiles, followFiles, readCertificate } from "./certificate.js";
import { readToken } from "./gatekeeper.js";
import type { Route } from "./route.js";
import { type HttpServer, serveHttp } from "./server.js";

/** The words of a command line that say where a process is asked over HTTP. */
export interface HttpWords {
  /** `"127.0.0.1:8080"`, `":8080"` or `"8080"`: without a host it is loopback. */
  readonly http?: string | undefined;
  readonly httpTokenFile?: string | undefined;
  readonly httpTlsCert?: string | undefined;
  readonly httpTlsKey?: string | undefined;
}

/** Where and how to listen. */
export interface HttpSettings {
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
  /** Files of a certificate for HTTP alone. Undefined: that of `security`. */
  readonly files: CertificateFiles | undefined;
  readonly security: Security;
}

/** Undefined: nowhere. */
export function readHttpWords(words: HttpWords, security: Security): HttpSettings | undefined {
  const { http, httpTokenFile, httpTlsCert: certificate, httpTlsKey: key } = words;
  if (http === undefined) {
    if (httpTokenFile === undefined && certificate === undefined && key === undefined) return undefined;
    throw new AmalgamError("usage", 'Cannot use a token or certificate for HTTP without "--http HOST:PORT"');
  }
  if ((certificate === undefined) !== (key === undefined)) {
    throw new AmalgamError("usage", 'Cannot use TLS for HTTP: give both of "--http-tls-cert" and "--http-tls-key"');
  }
  return {
    ...parseHttpAddress(http),
    token: httpTokenFile === undefined ? undefined : readToken(httpTokenFile),
    files: certificate === undefined || key === undefined ? undefined : { certificate, key },
    security,
  };
}

/** Serves with the certificate that the settings name, and with the next one as soon as its files are replaced. */
export async function openHttp(routes: readonly Route[], settings: HttpSettings, log: Log): Promise<HttpServer> {
  const { host, port, token, files, security } = settings;
  const live = files === undefined ? liveCredentials(security) : undefined;
  const own = files && { files, shown: readCertificate(files) };
  const server = await serveHttp(routes, { host, port, tls: own?.shown ?? live?.current, token, log });
  const stop = own
    ? followFiles(own.files, own.shown, { onChange: (renewed) => server.renew(renewed), log })
    : live?.onChange(() => server.renew(live.current));
  const close = async (): Promise<void> => {
    stop?.();
    await server.close();
  };
  return { ...server, close, [Symbol.asyncDispose]: close };
}

/** The host is loopback where none is given; port 0 is any free one. */
export function parseHttpAddress(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:(?:\[([0-9a-f:]+)\]|([^:[\]]*)):)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new AmalgamError(
      "usage",
      `Cannot use ${quote(text)} for "--http": it is not of the form "host:port", such as "127.0.0.1:8080"`,
    );
  }
  return { host: match[1] ?? (match[2] || "127.0.0.1"), port };
}
