import { patternWatermark, textWatermarks } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";
import { shownVariables, variablesOf, withVariables } from "./variables.ts";

/** Narrow and odd, so that what is wrapped or cut to a width shows. */
export const STRANGE_TERMINAL: Readonly<Record<string, string>> = {
  TERM: "xterm-256color",
  COLUMNS: "53",
  LINES: "37",
  CI: "true",
  NO_COLOR: "1",
};

/** Select Graphic Rendition, ECMA-48 section 8.3.117. */
const ESCAPE = /\u001b\[[\d;]{0,16}m/g;

/** What tools take for the terminal that they talk to. Standard input is empty, and output no terminal, in every world. */
export const terminal: Variation = {
  name: "terminal",
  how: "`TERM`, `COLUMNS=53`, `LINES`, `CI=true`, `NO_COLOR=1`; none of them in the canonical world.",
  shows: "The terminal's name; ANSI colours where only `NO_COLOR` forbade them; texts wrapped or cut at 53 columns.",
  beyond: "Tools that ask the terminal itself: there is none in either world.",
  describe: (a, b) => against("terminal", shownVariables(a, "terminal"), shownVariables(b, "terminal")),
  take: (world, other) => withVariables(world, "terminal", variablesOf(other, "terminal")),
  watermarks: (world) => {
    const { TERM, COLUMNS, NO_COLOR } = variablesOf(world, "terminal");
    return [
      ...(TERM === undefined ? [] : textWatermarks("terminal", "terminal", TERM, "likely")),
      ...(COLUMNS === undefined
        ? []
        : [patternWatermark("terminal", "columns", new RegExp(`(?<!\\d)${COLUMNS}(?!\\d)`, "g"), "weak")]),
      ...(NO_COLOR === undefined ? [patternWatermark("terminal", "ANSI colours", ESCAPE, "likely")] : []),
    ];
  },
  remedy:
    "fix the width and turn colours off where output is kept (COLUMNS=80 TERM=dumb NO_COLOR=1, --color=never, --width=80)",
};
