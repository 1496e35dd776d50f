import type { Continuation } from "./continuation.js";

/**
 * Windows over a long text, each token predicted once, as lm-evaluation-harness cuts them
 * (`get_rolling_token_windows` and `make_disjoint_window`). The first window is predicted from `prefix` on; each further
 * one adds `stride` tokens and sees as many before them as fit. The last one adds what is left.
 *
 * @param window tokens that the model sees at once
 * @param stride from 1 to `window`; lm-eval's `context_len` is window − stride + 1
 */
export function rollingWindows(
  tokens: readonly number[],
  { prefix, window, stride }: { readonly prefix: number; readonly window: number; readonly stride: number },
): readonly Continuation[] {
  const windows: Continuation[] = [];
  let predicted = Math.min(window, tokens.length);
  if (predicted > 0) windows.push({ context: [prefix], continuation: tokens.slice(0, predicted) });
  while (predicted < tokens.length) {
    const end = Math.min(tokens.length, predicted + stride);
    windows.push({
      context: tokens.slice(end - window - 1, predicted),
      continuation: tokens.slice(predicted, end),
    });
    predicted = end;
  }
  return windows;
}
