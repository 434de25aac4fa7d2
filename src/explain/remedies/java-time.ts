import { codeEdits } from "./code.ts";
import type { Remedy } from "./remedy.ts";

const MILLISECONDS =
  '(System.getenv("SOURCE_DATE_EPOCH") != null ? Long.parseLong(System.getenv("SOURCE_DATE_EPOCH")) * 1000L : System.currentTimeMillis())';
const INSTANT = `java.time.Instant.ofEpochMilli(${MILLISECONDS})`;

export const javaTime: Remedy = {
  name: "java-time",
  causes: ["clock", "timezone"],
  intrusion: "patch",
  says: "Java code that the build runs takes the time from SOURCE_DATE_EPOCH where it is set",
  propose: (project) =>
    codeEdits(
      project,
      "java",
      /(?<![\w.])(System\.currentTimeMillis|new\s+(?:java\.util\.)?Date|(?:java\.time\.)?(?:Instant|(?:Local|Zoned|Offset)DateTime|LocalDate)\.now)\s*\(/,
      ({ inside, match }) => {
        const [, call = ""] = match;
        if (inside.trim() !== "") return undefined;
        if (call.startsWith("System")) return MILLISECONDS;
        if (call.startsWith("new")) return `${call}(${MILLISECONDS})`;
        const type = /(\w+)\.now$/.exec(call)?.[1] ?? "";
        if (type === "Instant") return INSTANT;
        const zoned = `${INSTANT}.atZone(java.time.ZoneOffset.UTC)`;
        if (type === "ZonedDateTime") return zoned;
        return type === "OffsetDateTime" ? `${zoned}.toOffsetDateTime()` : `${zoned}.to${type}()`;
      },
    ),
};
