/**
 * While a GPU promise is pending, Dawn's binding for Node asks whether it is done in every turn of the event loop, through
 * whatever stands at `globalThis.setImmediate`: a whole core. On a software adapter that core is the adapter's own, and
 * training waits for it (docs/performance-log.md). With a GPU the core is idle, and decoding would wait for a timer.
 */

/** Milliseconds from one question to the next: the least that a timer of Node can wait. */
const PAUSE = 1;

let isPaused = false;

/** From now on Dawn pauses between its questions. What others give to `setImmediate` runs as before. */
export function pauseDawnPolling(): void {
  if (isPaused) return;
  isPaused = true;
  const { setTimeout } = globalThis;
  globalThis.setImmediate = new Proxy(globalThis.setImmediate, {
    apply(setImmediate, self, args: Parameters<typeof globalThis.setImmediate>) {
      return isDawns(args[0]) ? setTimeout(args[0], PAUSE) : Reflect.apply(setImmediate, self, args);
    },
  });
}

/** The binding's function has no name and no text; a bound one has at least a name. */
function isDawns(callback: unknown): callback is () => void {
  return (
    typeof callback === 'function' &&
    callback.name === '' &&
    Function.prototype.toString.call(callback) === 'function () { [native code] }'
  );
}
