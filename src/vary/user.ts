import type { World } from "../world.ts";
import { integerWatermarks, numberWatermarks, textWatermarks } from "./encodings.ts";
import { against, type Variation, type Watermark } from "./variation.ts";

/** Who builds: user and group by name and number, full name, HOME. */
export const user: Variation = {
  name: "user",
  how: "User and group in a user namespace with their own passwd, group and home folder.",
  shows:
    "Names, home, full name: raw, UTF-16, hexadecimal, base64; uid and gid in decimal, octal (tar), hexadecimal (cpio), integers of either byte order.",
  beyond: "A build that behaves otherwise as root: both worlds are ordinary users.",
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
  if (value < 10_000) return numberWatermarks("user", what, value, "weak");
  return [...numberWatermarks("user", what, value, "likely"), ...integerWatermarks("user", what, value, "weak")];
}
