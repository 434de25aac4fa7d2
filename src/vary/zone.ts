/**
 * Local time in a time zone, by the worlds' own small table: the zones that
 * worlds use have one offset all year, so no zone database is asked, and the
 * answer is the same on every machine.
 */
const OFFSETS: Readonly<Record<string, number>> = {
  UTC: 0,
  "Pacific/Marquesas": -(9 * 60 + 30),
};

/** Minutes east of UTC; undefined for a zone that no world of ours uses. */
export function offsetMinutes(timezone: string): number | undefined {
  return OFFSETS[timezone];
}

export interface Civil {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** The calendar's and the clock's fields at `epoch` seconds, `offset` minutes east of UTC. */
export function civil(epoch: number, offset: number): Civil {
  const date = new Date((epoch + offset * 60) * 1000);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
  };
}

/** Epoch seconds of fields in a zone; NaN for fields that name no time. */
export function epochOf(fields: Civil, offset: number): number {
  const { year, month, day, hour, minute, second } = fields;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60) return Number.NaN;
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - offset * 60;
}

/** "+05:30", "-0930", "Z" as minutes east of UTC. */
export function parseOffset(text: string): number | undefined {
  if (/^(?:Z|UTC|GMT)$/i.test(text)) return 0;
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(text) ?? [];
  if (sign === undefined) return undefined;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}
