import type { Architecture } from "../architecture/architecture.js";

/**
 * A tensor's name in another checkpoint of the same architecture, saved with or without the task's head around it:
 * `transformer.h.0.ln_1.weight` of a causal model is `h.0.ln_1.weight` of the bare one.
 */
export function nameIn(other: Architecture, own: Architecture, name: string): string {
  const { module } = own.place(name);
  const [from, to] = [prefixOf(own, module), prefixOf(other, module)];
  return from !== undefined && to !== undefined && name.startsWith(from) ? to + name.slice(from.length) : name;
}

/** What stands before a module's stack: "transformer." of "transformer.h.". */
function prefixOf(architecture: Architecture, module: number): string | undefined {
  const stack = architecture.modules[module]?.stack;
  return stack?.slice(0, stack.lastIndexOf(".", stack.length - 2) + 1);
}
