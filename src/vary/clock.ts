import { instantWatermarks, shownSpan } from "./instants.ts";
import { against, type Variation } from "./variation.ts";

/** Where a world's clock is held that has no instant of its own: 2020-01-12T07:26:37Z, in no zone a round time. */
export const HELD_AT = 1_578_813_997;

const DAY = 86_400;

/**
 * Where the clock of experiments is held whose source is of that `epoch` (SOURCE_DATE_EPOCH, of its newest file):
 * later, as the real clock is, by more than file times may then lie before it. So what takes the earlier of two times,
 * or refuses a source from the future, does as it does in the real worlds. The same time of day as HELD_AT.
 */
export function heldAfter(epoch: number): number {
  return HELD_AT + Math.max(0, Math.ceil((epoch - HELD_AT) / DAY) + 10) * DAY;
}

/** The wall clock: a preloaded library adds the offset; for static programs and Go, a process of ours answers their calls. */
export const clock: Variation = {
  name: "clock",
  how: "A preloaded library adds the offset to the wall clock of programs that use the C library; static programs, Go and musl's programs lose the vDSO at their start, and their calls are answered by us. Experiments hold it still, after the source's time.",
  shows:
    "The build's moment: seconds, milliseconds, micro- and nanoseconds, decimal, hexadecimal, octal, integers of either byte order; RFC 3339, RFC 2822, ctime, `__DATE__`, DOS time and other dates, in UTC and in the world's zone.",
  beyond:
    "Static programs, Go and musl on a kernel before 5.19, or where ptrace is refused: then the verdict says so. Where it is held, monotonic clocks go on, but for Java's. Commits of today: a date that a tool took from `SOURCE_DATE_EPOCH` may be told as a possible `clock`, since it is the day of the build too.",
  describe: (a, b) => against("clock", shift(a.clockOffset), shift(b.clockOffset)),
  take: (world, { clockOffset }) => ({ ...world, clockOffset }),
  hold: (world) => ({ ...world, clockHeld: world.clockHeld ?? HELD_AT }),
  watermarks: (world, times) => instantWatermarks("clock", "build time", shownSpan(world, times), world),
  remedy:
    "take the time from SOURCE_DATE_EPOCH instead of the clock, or leave it out; for C: no __DATE__, __TIME__, __TIMESTAMP__ (-Werror=date-time finds them)",
};

function shift(seconds: number): string {
  if (seconds === 0) return "as it is";
  const days = Math.trunc(seconds / 86_400);
  return `${seconds < 0 ? "" : "+"}${days} days ${Math.abs(seconds) % 86_400} s`;
}
