import type { CauseName, World } from "../world.ts";
import { buffer, patternWatermark } from "./encodings.ts";
import { type BuildTimes, type Confidence, type Match, MAX_MATCHES, type Watermark } from "./variation.ts";
import { civil, epochOf, offsetMinutes, parseOffset } from "./zone.ts";

/** Epoch seconds, both ends included. */
export interface Span {
  from: number;
  to: number;
}

/** Searchers for a time within `span`, in the encodings in which artifacts carry times. */
export function instantWatermarks(cause: CauseName, what: string, span: Span, world: World): Watermark[] {
  const zones = [...new Set([0, offsetMinutes(world.timezone) ?? 0])];
  return [
    ...integers(cause, what, span),
    ...decimals(cause, what, span),
    ...written(cause, what, span, zones),
    dosTimes(cause, what, span, zones),
  ];
}

/** What the build's clock showed: shifted by the world's offset, from the real time or from where it is held. */
export function shownSpan(world: World, times: BuildTimes): Span {
  const { from, to } = wholeSeconds(times);
  const start = (world.clockHeld ?? from) + world.clockOffset;
  return { from: start, to: start + (to - from) };
}

/** What times the files show that the build made. */
export function fileSpan(world: World, times: BuildTimes): Span {
  if (world.clockHeld === undefined) return wholeSeconds(times);
  const shown = world.clockHeld + (world.fileOffset ?? 0);
  return { from: shown, to: shown };
}

function wholeSeconds(times: BuildTimes): Span {
  return { from: Math.floor(times.start / 1000), to: Math.ceil(times.end / 1000) };
}

/** Binary integers of four or eight bytes, either end first, at any offset. */
function integers(cause: CauseName, what: string, span: Span): Watermark[] {
  const make = (
    label: string,
    confidence: Confidence,
    size: number,
    read: (bytes: Buffer, at: number) => number,
  ): Watermark => ({
    cause,
    label: `${what} as ${label}`,
    confidence,
    find: (bytes) => scan(buffer(bytes), size, read, (value) => value >= span.from && value < span.to + 1, confidence),
  });
  const word = 2 ** 32;
  return [
    make("a little-endian integer", "likely", 4, (bytes, at) => bytes.readUInt32LE(at)),
    make("a big-endian integer", "likely", 4, (bytes, at) => bytes.readUInt32BE(at)),
    make(
      "milliseconds, little-endian",
      "likely",
      8,
      (bytes, at) => (bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * word) / 1000,
    ),
    make(
      "milliseconds, big-endian",
      "likely",
      8,
      (bytes, at) => (bytes.readUInt32BE(at) * word + bytes.readUInt32BE(at + 4)) / 1000,
    ),
  ];
}

function scan(
  bytes: Buffer,
  size: number,
  read: (bytes: Buffer, at: number) => number,
  accept: (value: number) => boolean,
  confidence: Confidence,
): Match[] {
  const found: Match[] = [];
  for (let at = 0; at + size <= bytes.length && found.length < MAX_MATCHES; at++) {
    const value = read(bytes, at);
    if (accept(value)) found.push({ offset: at, length: size, text: iso(value), confidence });
  }
  return found;
}

function iso(epoch: number): string {
  return new Date(Math.floor(epoch) * 1000).toISOString().replace(".000Z", "Z");
}

/** Seconds, milliseconds, microseconds and nanoseconds in decimal; seconds in hexadecimal and, as tar has them, octal. */
function decimals(cause: CauseName, what: string, span: Span): Watermark[] {
  const within = (seconds: number): boolean => seconds >= span.from && seconds <= span.to + 1;
  return [
    patternWatermark(cause, `${what} in decimal`, /(?<!\d)\d{10}(?:\d{3}){0,3}(?!\d)/g, "certain", ([text]) =>
      within(Number(text.slice(0, 10))),
    ),
    patternWatermark(cause, `${what} in hexadecimal`, /(?<![0-9a-f])[0-9a-f]{8}(?![0-9a-f])/gi, "likely", ([text]) =>
      within(Number.parseInt(text, 16)),
    ),
    patternWatermark(cause, `${what} in octal`, /(?<![0-7])[0-7]{11}(?![0-7])/g, "certain", ([text]) =>
      within(Number.parseInt(text, 8)),
    ),
  ];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\\.?";
const CLOCK = "(\\d{1,2}):(\\d{2})(?::(\\d{2})(?:[.,]\\d{1,9})?)?(?:\\s?([AP]M))?";
const ZONE = "(?:\\s?(Z|UTC|GMT|[+-]\\d{2}:?\\d{2})(?![\\w]))?";

interface Form {
  label: string;
  pattern: RegExp;
  /** Indices of the groups: year, month, day; the clock's four and the zone's follow at `clock` when given. */
  year: number;
  month: number;
  day: number;
  clock?: number;
  confidence: Confidence;
}

const form = (source: string): RegExp => new RegExp(source, "gi");

/** Most telling first: RFC 3339, RFC 2822, ctime(3), __DATE__, then dates alone. */
const FORMS: readonly Form[] = [
  {
    label: "RFC 3339",
    pattern: form(`(?<!\\d)(\\d{4})-(\\d{2})-(\\d{2})[T _]${CLOCK}${ZONE}`),
    year: 1,
    month: 2,
    day: 3,
    clock: 4,
    confidence: "certain",
  },
  {
    label: "RFC 2822",
    pattern: form(`(?<!\\d)(\\d{1,2})[ -]${MONTH}[ -](\\d{4})[ T,]+${CLOCK}${ZONE}`),
    year: 3,
    month: 2,
    day: 1,
    clock: 4,
    confidence: "certain",
  },
  {
    label: "ctime",
    pattern: form(`${MONTH} +(\\d{1,2})\\s+${CLOCK}(?:\\s+([A-Z]{2,5}|[+-]\\d{4}))?\\s+(\\d{4})(?!\\d)`),
    year: 8,
    month: 1,
    day: 2,
    clock: 3,
    confidence: "certain",
  },
  {
    label: "__DATE__ and __TIME__",
    pattern: form(`${MONTH} +(\\d{1,2}),? +(\\d{4}),?(?: +at)? +${CLOCK}${ZONE}`),
    year: 3,
    month: 1,
    day: 2,
    clock: 4,
    confidence: "certain",
  },
  {
    label: "compact date and time",
    pattern: form("(?<!\\d)(\\d{4})(\\d{2})(\\d{2})[T_-]?(\\d{2})(\\d{2})(\\d{2})?()(Z|[+-]\\d{4})?(?!\\d)"),
    year: 1,
    month: 2,
    day: 3,
    clock: 4,
    confidence: "certain",
  },
  {
    label: "year-month-day",
    pattern: form("(?<!\\d)(\\d{4})[-/.](\\d{1,2})[-/.](\\d{1,2})(?![\\d])"),
    year: 1,
    month: 2,
    day: 3,
    confidence: "likely",
  },
  {
    label: "month day, year",
    pattern: form(`${MONTH} +(\\d{1,2})(?:st|nd|rd|th)?,? +(\\d{4})(?!\\d)`),
    year: 3,
    month: 1,
    day: 2,
    confidence: "likely",
  },
  {
    label: "day month year",
    pattern: form(`(?<!\\d)(\\d{1,2})[ .-]+${MONTH}[ -]+(\\d{4})(?!\\d)`),
    year: 3,
    month: 2,
    day: 1,
    confidence: "likely",
  },
  {
    label: "day/month/year",
    pattern: form("(?<!\\d)(\\d{1,2})[/.-](\\d{1,2})[/.-](\\d{4})(?!\\d)"),
    year: 3,
    month: 2,
    day: 1,
    confidence: "likely",
  },
  {
    label: "month/day/year",
    pattern: form("(?<!\\d)(\\d{1,2})/(\\d{1,2})/(\\d{4})(?!\\d)"),
    year: 3,
    month: 1,
    day: 2,
    confidence: "likely",
  },
  {
    label: "yyyymmdd",
    pattern: form("(?<!\\d)(\\d{4})(\\d{2})(\\d{2})(?!\\d)"),
    year: 1,
    month: 2,
    day: 3,
    confidence: "likely",
  },
];

/** Dates as people and programs write them, in UTC, in the world's zone, or in the zone that they name. */
function written(cause: CauseName, what: string, span: Span, zones: readonly number[]): Watermark[] {
  const marks = FORMS.map((one) =>
    patternWatermark(cause, `${what} as ${one.label}`, one.pattern, one.confidence, (match) =>
      isWithin(one, match, span, zones),
    ),
  );
  const years = zones.flatMap((zone) => [civil(span.from, zone).year, civil(span.to, zone).year]);
  const clocks = patternWatermark(
    cause,
    `${what} as time of day`,
    /(?<![\d:])(\d{2}):(\d{2}):(\d{2})(?![\d:])/g,
    "weak",
    ([, h, m, s]) => zones.some((zone) => isTimeOfDay(Number(h) * 3600 + Number(m) * 60 + Number(s), span, zone)),
  );
  const year = patternWatermark(
    cause,
    `year of ${what}`,
    new RegExp(`(?<!\\d)(?:${[...new Set(years)].join("|")})(?!\\d)`, "g"),
    "weak",
  );
  return [...marks, clocks, year];
}

function isTimeOfDay(seconds: number, span: Span, zone: number): boolean {
  const first = span.from + zone * 60;
  const after = (((seconds - first) % 86_400) + 86_400) % 86_400;
  return after <= span.to - span.from;
}

function isWithin(one: Form, match: RegExpExecArray, span: Span, zones: readonly number[]): boolean {
  const monthText = (match[one.month] ?? "").toLowerCase();
  const month = /^\d/.test(monthText) ? Number(monthText) : MONTHS.indexOf(monthText.slice(0, 3)) + 1;
  const fields = { year: Number(match[one.year]), month, day: Number(match[one.day]), hour: 0, minute: 0, second: 0 };
  if (one.clock === undefined) return zones.some((zone) => overlaps(epochOf(fields, zone), 86_400, span));
  const seconds = match[one.clock + 2];
  const half = match[one.clock + 3]?.toUpperCase();
  const hour = Number(match[one.clock]);
  fields.hour = half === undefined || half === "" ? hour : (hour % 12) + (half === "PM" ? 12 : 0);
  fields.minute = Number(match[one.clock + 1]);
  fields.second = Number(seconds ?? 0);
  const named = parseOffset(match[one.clock + 4] ?? "");
  const length = seconds === undefined ? 60 : 1;
  return (named === undefined ? zones : [named]).some((zone) => overlaps(epochOf(fields, zone), length, span));
}

function overlaps(start: number, length: number, span: Span): boolean {
  return start + length > span.from && start <= span.to;
}

/** MS-DOS time and date, as zip has them: two little-endian 16-bit words, local time, two-second steps. APPNOTE.TXT 4.4.6. */
function dosTimes(cause: CauseName, what: string, span: Span, zones: readonly number[]): Watermark {
  return {
    cause,
    label: `${what} as DOS time`,
    confidence: "likely",
    find: (bytes) =>
      scan(
        buffer(bytes),
        4,
        (data, at) => dosEpoch(data.readUInt16LE(at), data.readUInt16LE(at + 2)),
        (value) => zones.some((zone) => overlaps(value - zone * 60, 2, span)),
        "likely",
      ),
  };
}

function dosEpoch(time: number, date: number): number {
  const month = (date >> 5) & 15;
  if (date < 33 || month < 1 || month > 12) return Number.NaN;
  return epochOf(
    {
      year: 1980 + (date >> 9),
      month,
      day: date & 31,
      hour: time >> 11,
      minute: (time >> 5) & 63,
      second: (time & 31) * 2,
    },
    0,
  );
}
