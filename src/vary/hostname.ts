import { textWatermarks } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";

/** The host's name, by a UTS namespace of its own. */
export const hostname: Variation = {
  name: "hostname",
  how: "A UTS namespace, `/etc/hostname` and `/etc/hosts`.",
  shows: "The name: raw, UTF-16, hexadecimal, base64.",
  beyond: "The machine's id and its network addresses, which no world has.",
  describe: (a, b) => against("host name", a.hostname, b.hostname),
  take: (world, { hostname }) => ({ ...world, hostname }),
  watermarks: (world) => textWatermarks("hostname", "host name", world.hostname),
  remedy:
    "leave the host name out (no hostname, uname -n or gethostname in what is generated), or write a fixed one when SOURCE_DATE_EPOCH is set",
};
