import { patternWatermark, textWatermarks } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";
import { offsetMinutes } from "./zone.ts";

/** TZ: the name of the zone, or its offset, where it is odd enough to be told from chance. */
export const timezone: Variation = {
  name: "timezone",
  how: "`TZ`.",
  shows: "The zone's name; its offset `-0930`, `-09:30`; archive times that differ by whole hours and a half.",
  beyond: "Programs that set their own zone.",
  describe: (a, b) => against("time zone", a.timezone, b.timezone),
  take: (world, { timezone }) => ({ ...world, timezone }),
  watermarks: (world) => {
    if (world.timezone === "UTC") return [];
    const minutes = offsetMinutes(world.timezone);
    const named = textWatermarks("timezone", "time zone", world.timezone);
    if (minutes === undefined || minutes === 0) return named;
    const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60].map((part) =>
      String(part).padStart(2, "0"),
    );
    const sign = minutes < 0 ? "-" : "\\+";
    const pattern = new RegExp(`(?<=[\\d\\s"'(T])${sign}${hours}:?${rest}(?![\\d:])`, "g");
    return [...named, patternWatermark("timezone", "offset of the time zone", pattern, "likely")];
  },
  remedy: "write times in UTC (date -u, gmtime, timezone.utc), or set TZ=UTC for the build",
};
