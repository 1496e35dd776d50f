import { hubEndpoint, hubToken } from "./settings.js";

/** Who asks a Hub, and where it is. */
export interface HubSession {
  readonly endpoint: string;
  /** Undefined: nobody in particular. Goes to the endpoint's own origin alone. */
  readonly authorization: string | undefined;
  /** Where the token is from, to name it by; undefined: there is none. */
  readonly tokenPlace: string | undefined;
}

export async function openSession(env: Readonly<Record<string, string | undefined>>): Promise<HubSession> {
  const token = await hubToken(env);
  return {
    endpoint: hubEndpoint(env),
    authorization: token && `Bearer ${token.text}`,
    tokenPlace: token?.place,
  };
}
