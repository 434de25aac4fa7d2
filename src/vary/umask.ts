import { patternWatermark } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";

const octal = (mode: number): string => mode.toString(8).padStart(4, "0");

/** The umask shows in modes only: 644 and 755 against 664 and 775. */
export const umask: Variation = {
  name: "umask",
  how: "The process's umask.",
  shows: "Modes only, 644/755 against 664/775; an output's own mode is not part of the artifact.",
  beyond: "A mask that the build sets.",
  describe: (a, b) => against("umask", octal(a.umask), octal(b.umask)),
  take: (world, { umask }) => ({ ...world, umask }),
  watermarks: (world) => {
    const modes = [0o666, 0o777].map((mode) => (mode & ~world.umask).toString(8));
    const pattern = new RegExp(`(?<![0-7])0*(?:10|4)?0?(?:${modes.join("|")})(?![0-7])`, "g");
    return [patternWatermark("umask", "mode that the umask leaves", pattern, "weak")];
  },
  remedy:
    "give modes explicitly (install -m 644, tar --mode=go=rX,u+rw,a-s), or set umask 022 at the start of the build",
};
