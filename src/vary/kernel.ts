import { release } from "node:os";
import type { World } from "../world.ts";
import { textWatermarks } from "./encodings.ts";
import { against, type Variation, type Watermark, withField } from "./variation.ts";

/** What uname(2) says in a world on a machine with this release: see override_release() in the kernel's sys.c. */
export function releaseIn(world: World, own: string): string {
  if (world.kernel === undefined) return own;
  const [, major = "", minor = "", rest = ""] = /^(\d+)\.(\d+)(?:\.\d+)?(.*)$/.exec(own) ?? [];
  if (major === "") return own;
  return `2.6.${Number(minor) + (Number(major) === 3 ? 40 : 60)}${rest}`;
}

/** The release that uname(2) tells. */
export const kernel: Variation = {
  name: "kernel",
  how: "personality(2) with UNAME26: uname(2) tells 2.6.60 and more (`2.6.78` for 6.18), and the machine's own release in the canonical world.",
  shows:
    "The release as each world tells it, whole or without what follows its numbers: raw, UTF-16, hexadecimal, base64.",
  beyond:
    "`uname -v`, `uname -m`, `/proc/version`, what the kernel can do, and programs that read its version from the vDSO: only another machine or a virtual one (`machine`) has another kernel.",
  describe: (a, b) => against("kernel release", a.kernel ?? "the machine's", b.kernel ?? "the machine's"),
  take: (world, other) => withField(world, other, "kernel"),
  watermarks: (world): Watermark[] => {
    const { told } = world.machine ?? {};
    const own = told?.release ?? release();
    const whole = releaseIn(world, own);
    const numbers = /^\d+\.\d+\.\d+/.exec(whole)?.[0] ?? whole;
    return [
      ...textWatermarks("kernel", "kernel release", whole, whole === numbers ? "likely" : "certain"),
      ...(whole === numbers ? [] : textWatermarks("kernel", "kernel release", numbers, "likely")),
      // /proc/version and uname -v, which no personality changes.
      ...(told === undefined || own === whole ? [] : textWatermarks("kernel", "kernel release", own)),
      ...(told === undefined ? [] : textWatermarks("kernel", "kernel version", told.version)),
    ];
  },
  remedy:
    "leave the kernel's release out (no uname -r, os.release(), platform.release() in what is generated): what runs later runs on another",
};
