import { patternWatermark, textWatermarks } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";
import { shownVariables, variablesOf, withVariables } from "./variables.ts";

/** Narrow and odd, so that what is wrapped or cut to a width shows; a terminal with colours that nobody has, and every terminfo knows. */
export const STRANGE_TERMINAL: Readonly<Record<string, string>> = {
  TERM: "wsvt25m",
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
  how: "`TERM=wsvt25m`, `COLUMNS=53`, `LINES`, `CI=true`, `NO_COLOR=1`; none of them in the canonical world.",
  shows:
    "The terminal's name; weakly, the number of columns, and ANSI colours that only `NO_COLOR` forbids. What is wrapped or cut at 53 columns is found by experiment.",
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
      ...(NO_COLOR === undefined ? [patternWatermark("terminal", "ANSI colours", ESCAPE, "weak")] : []),
    ];
  },
  remedy:
    "fix the width and turn colours off where output is kept (COLUMNS=80 TERM=dumb NO_COLOR=1, --color=never, --width=80)",
};
