import { codeEdits } from "./code.ts";
import type { Remedy } from "./remedy.ts";

const EPOCH = "($ENV{SOURCE_DATE_EPOCH} // time)";

export const perlTime: Remedy = {
  name: "perl-time",
  causes: ["clock", "timezone"],
  intrusion: "patch",
  says: "Perl scripts of the build take the time from SOURCE_DATE_EPOCH where it is set",
  propose: (project) =>
    codeEdits(
      project,
      "perl",
      /(?<![\w$@%&>{:-])(?:(?:local|gm)time\s*\(\s*(?:time(?:\s*\(\s*\))?)?\s*\)|(?:local|gm)time(?=\s*[;,)])|time\s*\(\s*\)|time(?=\s*[;,)]))/,
      ({ match, code, start }) => {
        const before = code.text.slice(0, start);
        if (/(?:\/\/|\|\|)\s*$/.test(before)) return undefined;
        return /^(?:local|gm)time/.test(match[0]) ? `gmtime${EPOCH}` : EPOCH;
      },
    ),
};
