/** Requests that overtake each other: one runs, the newest waits, those in between are never made. */

/**
 * Calls `run` for the newest request only. A dragged slider asks far more often than the engine can answer, and every
 * answer with new settings compiles pipelines.
 */
export function latestOnly<Request>(
  run: (request: Request) => Promise<void>,
  fail: (error: unknown) => void,
): (request: Request) => void {
  let waiting: { readonly request: Request } | undefined;
  let isRunning = false;
  const next = (): void => {
    const now = waiting;
    waiting = undefined;
    isRunning = now !== undefined;
    if (now !== undefined) void run(now.request).catch(fail).finally(next);
  };
  return (request) => {
    waiting = { request };
    if (!isRunning) next();
  };
}
