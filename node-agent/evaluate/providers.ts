/** Execution providers of ONNX Runtime that an agent can be told to use. */
export const providerNames = ["cpu", "cuda", "webgpu"] as const;

export type Provider = (typeof providerNames)[number];

/** What `auto` stands for: a GPU where one can be used. */
export const autoProviders: readonly Provider[] = ["cuda", "webgpu", "cpu"];

export function isProvider(name: string): name is Provider {
  return (providerNames as readonly string[]).includes(name);
}
