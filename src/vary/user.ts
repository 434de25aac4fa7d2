import type { World } from "../world.ts";
import { patternWatermark, places, textWatermarks } from "./encodings.ts";
import { against, type Match, type Variation, type Watermark } from "./variation.ts";

/** Who builds: user and group by name and number, full name, HOME. */
export const user: Variation = {
  name: "user",
  describe: (a, b) => against("user", who(a), who(b)),
  take: (world, { user }) => ({ ...world, user }),
  watermarks: (world) => {
    const { name, group, fullName, home, uid, gid } = world.user;
    return [
      ...textWatermarks("user", "home folder", home),
      ...textWatermarks("user", "user name", name),
      ...(group === name ? [] : textWatermarks("user", "group name", group)),
      ...textWatermarks("user", "full name", fullName),
      ...numbers("uid", uid),
      ...(gid === uid ? [] : numbers("gid", gid)),
    ];
  },
  remedy:
    "do not record who builds: tar --owner=0 --group=0 --numeric-owner, no $USER, whoami or getpwuid in what is generated; keep HOME out of paths",
};

function who(world: World): string {
  const { name, uid, gid, home } = world.user;
  return `${name} (${uid}:${gid}, ${home})`;
}

/** Small numbers such as 1000 occur by chance; large odd ones do not. tar writes them in octal, POSIX.1-2017 pax "ustar". */
function numbers(what: string, value: number): Watermark[] {
  const confidence = value < 10_000 ? "weak" : "likely";
  const octal = value.toString(8).padStart(7, "0");
  const needle = Buffer.alloc(4);
  needle.writeUInt32LE(value);
  const marks: Watermark[] = [
    patternWatermark("user", `${what} ${value}`, new RegExp(`(?<!\\d)${value}(?!\\d)`, "g"), confidence),
    patternWatermark("user", `${what} ${value} in octal`, new RegExp(`(?<![0-7])${octal}(?![0-7])`, "g"), confidence),
  ];
  if (value < 10_000) return marks;
  const find = (bytes: Uint8Array): Match[] =>
    places(bytes, needle).map((offset) => ({ offset, length: 4, text: String(value), confidence: "weak" }));
  return [...marks, { cause: "user", label: `${what} ${value} as an integer`, confidence: "weak", find }];
}
