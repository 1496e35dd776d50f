/** What a watch comes to; a watch that comes too late is ended. Fails with the signal's reason as soon as it is aborted. */
export async function beginWatch(watching: Promise<AsyncDisposable>, signal: AbortSignal): Promise<AsyncDisposable> {
  let giveUp = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    giveUp = () => reject(signal.reason);
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp, { once: true });
  });
  try {
    return await Promise.race([watching, aborted]);
  } catch (error) {
    watching.then((watch) => watch[Symbol.asyncDispose]()).catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
