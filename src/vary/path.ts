import { posix } from "node:path";
import { patternWatermark, textWatermarks } from "./encodings.ts";
import { against, type Variation, type Watermark } from "./variation.ts";

/** Parts of the worlds' paths that occur nowhere by chance. */
const TELLING: ReadonlySet<string> = new Set(["qelvarn", "wuzmok-longer"]);

/** The path in a name or in quotes: `-build-thing`, `#build#thing` (gcov), `\\/build\\/thing` (JSON), `\\build\\thing`. */
function replacedSlashes(path: string): Watermark[] {
  return ["\\/", "\\", "#", "_", "-", "!"].map((by) => {
    const text = path.slice(1).replaceAll("/", () => by);
    const literal = text.replaceAll(/[^\w/]/g, "\\$&");
    const pattern = new RegExp(`(?<![a-zA-Z0-9])${literal}(?![a-zA-Z0-9])`, "g");
    return patternWatermark("path", `build path with ${by} for /`, pattern, text.length < 20 ? "weak" : "likely");
  });
}

/** Where the source lies: another content and another length. */
export const path: Variation = {
  name: "path",
  how: "The source is mounted elsewhere: other content, other length.",
  shows:
    "The path, its parent and its telling part: raw, UTF-16, hexadecimal, base64, percent-encoded, with its slashes escaped or replaced; DWARF `comp_dir`. A hash of it changes without showing it.",
  beyond: "A longer string shifts what follows it: in an ELF file those shifted offsets differ beside the cause.",
  describe: (a, b) => against("build path", a.buildPath, b.buildPath),
  take: (world, { buildPath }) => ({ ...world, buildPath }),
  watermarks: ({ buildPath }) => {
    const parent = posix.dirname(buildPath);
    return [
      ...textWatermarks("path", "build path", buildPath),
      ...replacedSlashes(buildPath),
      // A world's own path is telling in part as well: `../wuzmok-longer/tree`, `qelvarn-other-place`.
      ...(parent.split("/").length > 3 ? textWatermarks("path", "folder above the build path", parent) : []),
      ...buildPath
        .split("/")
        .filter((part) => TELLING.has(part))
        .flatMap((part) => textWatermarks("path", "part of the build path", part)),
    ];
  },
  remedy:
    "map the build path away: C/C++ -ffile-prefix-map=$PWD=. , Go -trimpath, Rust --remap-path-prefix, or write relative paths",
};
