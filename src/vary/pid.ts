import { integerWatermarks, numberWatermarks, patternWatermark } from "./encodings.ts";
import { against, type Variation, withField } from "./variation.ts";

const shown = (first: number | undefined): string => String(first ?? 1);

/** As many processes as a build may well start: a number within is a process's by likelihood only. */
const SPAN = 3000;

/** The numbers of processes, by the last one given in the sandbox's own process namespace. */
export const pid: Variation = {
  name: "pid",
  how: "The sandbox's process namespace counts on from another number (`ns_last_pid`) before the build starts.",
  shows:
    "The first number exactly, in decimal, hexadecimal or as an integer of either byte order; any of the next 3000 in decimal, weakly.",
  beyond:
    "Which process gets which number: with several at a time that is a `race`. The world of one build is numbered from 2 on, and small numbers are no watermark.",
  describe: (a, b) => against("processes numbered from", shown(a.firstPid), shown(b.firstPid)),
  take: (world, other) => withField(world, other, "firstPid"),
  watermarks: ({ firstPid }) =>
    firstPid === undefined
      ? []
      : [
          ...numberWatermarks("pid", "process number", firstPid, "likely"),
          ...integerWatermarks("pid", "process number", firstPid, "weak"),
          patternWatermark("pid", "number of a process", /(?<![\d.])\d{5}(?![\d.])/g, "weak", ([text]) => {
            const number = Number(text);
            return number > firstPid && number < firstPid + SPAN;
          }),
        ],
  remedy:
    "keep process numbers out of what is built: no $$, getpid or os.getpid() in names, seeds and headers; mktemp names a file that is renamed or removed",
};
