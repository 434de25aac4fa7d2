/** The only file that reads the ambient clock; everything else is handed a `Clock`. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /** Milliseconds on a clock that never goes back, for durations. */
  elapsed(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => Number(process.hrtime.bigint()) / 1e6, // `performance` loads eight modules of Node's at its first use
};

/** A clock that stands still, or moves as the test says. */
export function fixedClock(milliseconds: number): Clock & { advance(by: number): void } {
  let at = milliseconds;
  return { now: () => at, elapsed: () => at, advance: (by) => void (at += by) };
}

/** `2026-11-23T10:20:30Z`: RFC 3339, UTC, whole seconds. */
export function rfc3339(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d{3}Z$/, "Z");
}
