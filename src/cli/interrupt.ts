/** Ctrl-C, the polite request to end, and a terminal that closes; with their numbers. */
const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
type Signal = keyof typeof SIGNALS;

/** Runs `work` with a signal that those of the system raise, so that sandboxes end and scratch folders go. */
export async function onInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (name: Signal): void => {
    process.exitCode = 128 + SIGNALS[name]; // as a shell says it: not a verdict on the build
    controller.abort();
  };
  const names = Object.keys(SIGNALS) as Signal[];
  for (const name of names) process.once(name, stop);
  try {
    return await work(controller.signal);
  } finally {
    for (const name of names) process.removeListener(name, stop);
  }
}
