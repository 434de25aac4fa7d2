import { HELD_AT } from "./clock.ts";
import { instantWatermarks, fileSpan } from "./instants.ts";
import { against, type Variation } from "./variation.ts";

/**
 * Times that the kernel gives to files. Nothing shifts them: one of the
 * worlds starts later, by more than the two seconds that zip rounds to. Where
 * the clock is held they show a held time, which `fileOffset` moves.
 */
export const mtime: Variation = {
  name: "mtime",
  how: "The canonical world starts 2.1 s after the adversarial one, which is the slower: the kernel gives file times.",
  shows:
    "Time fields of tar, zip, gzip and others, in the encodings of `clock`; two numbers that differ by some seconds.",
  beyond:
    "Times cut to a minute or more. Where they are held, static programs, Go and musl's programs see the real ones.",
  describe: (a, b) =>
    a.clockHeld === undefined
      ? against("start", `after ${a.startDelay} ms`, `after ${b.startDelay} ms`)
      : against("held file times", `${a.fileOffset ?? 0} s later`, `${b.fileOffset ?? 0} s later`),
  take: (world, { startDelay, fileOffset }) => {
    const taken = { ...world, startDelay };
    if (fileOffset === undefined) delete taken.fileOffset;
    else taken.fileOffset = fileOffset;
    return taken;
  },
  hold: (world) => ({ ...world, startDelay: 0, clockHeld: world.clockHeld ?? HELD_AT }),
  watermarks: (world, times) => instantWatermarks("mtime", "file time", fileSpan(world, times), world),
  remedy:
    "clamp file times to SOURCE_DATE_EPOCH when packing (tar --mtime=@$SOURCE_DATE_EPOCH --clamp-mtime, zip -X after touch), and do not compile files' times in",
};
