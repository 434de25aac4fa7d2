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
  const make = (label: string, size: 4 | 8, unit: number, end: "little" | "big"): Watermark => ({
    cause,
    label: `${what} as ${label}`,
    confidence: "likely",
    find: (bytes) => {
      const data = buffer(bytes);
      const read = (at: number): number => integerAt(data, at, size, end) / unit;
      const upper = uppersOf(span, size, unit, end);
      return among(data, size, upper, read, (value) => value >= span.from && value < span.to + 1);
    },
  });
  return [
    make("a little-endian integer", 4, 1, "little"),
    make("a big-endian integer", 4, 1, "big"),
    make("milliseconds, little-endian", 8, 1000, "little"),
    make("milliseconds, big-endian", 8, 1000, "big"),
  ];
}

function integerAt(data: Buffer, at: number, size: 4 | 8, end: "little" | "big"): number {
  const word = 2 ** 32;
  if (size === 4) return end === "little" ? data.readUInt32LE(at) : data.readUInt32BE(at);
  return end === "little"
    ? data.readUInt32LE(at) + data.readUInt32LE(at + 4) * word
    : data.readUInt32BE(at) * word + data.readUInt32BE(at + 4);
}

/** Bytes that stand in every integer of a span, and where in it. */
interface Upper {
  needle: Buffer;
  at: number;
}

/** A build is short, so that all but the last two bytes of its times take few values: those can be searched by the C library. */
function uppersOf(span: Span, size: 4 | 8, unit: number, end: "little" | "big"): Upper[] {
  const uppers: Upper[] = [];
  const last = Math.floor(((span.to + 1) * unit) / 0x10000);
  for (let upper = Math.floor((span.from * unit) / 0x10000); upper <= last; upper++) {
    const whole = Buffer.alloc(8);
    whole.writeBigUInt64BE(BigInt(upper) * 0x10000n);
    const needle = whole.subarray(8 - size, 6);
    uppers.push(end === "little" ? { needle: Buffer.from(needle).reverse(), at: 2 } : { needle, at: 0 });
  }
  return uppers;
}

/** Integers of `size` bytes that hold one of `uppers` and are accepted, ascending. */
function among(
  bytes: Buffer,
  size: number,
  uppers: readonly Upper[],
  read: (at: number) => number,
  accept: (value: number) => boolean,
): Match[] {
  const found: Match[] = [];
  for (const { needle, at: inside } of uppers) {
    let count = 0;
    for (let at = bytes.indexOf(needle, inside); at >= 0 && count < MAX_MATCHES; at = bytes.indexOf(needle, at + 1)) {
      const offset = at - inside;
      if (offset + size > bytes.length) break;
      const value = read(offset);
      if (!accept(value)) continue;
      found.push({ offset, length: size, text: iso(value), confidence: "likely" });
      count++;
    }
  }
  return found.sort((a, b) => a.offset - b.offset).slice(0, MAX_MATCHES);
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
  const dates = new Set<number>();
  for (const zone of zones) {
    for (let epoch = span.from - 86_400; epoch <= span.to + 86_400; epoch += 86_400) {
      const { year, month, day } = civil(epoch, zone);
      if (year >= 1980 && year < 2108) dates.add(((year - 1980) << 9) | (month << 5) | day);
    }
  }
  const uppers = [...dates].map((date): Upper => ({ needle: Buffer.from([date & 255, date >> 8]), at: 2 }));
  const accept = (value: number): boolean => zones.some((zone) => overlaps(value - zone * 60, 2, span));
  return {
    cause,
    label: `${what} as DOS time`,
    confidence: "likely",
    find: (bytes) => {
      const data = buffer(bytes);
      const read = (at: number): number => dosEpoch(data.readUInt16LE(at), data.readUInt16LE(at + 2));
      return among(data, 4, uppers, read, accept);
    },
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
