import { BitforbitError } from "../errors.ts";

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

export const SIZE_PATTERN: RegExp = /^[0-9]{1,16}(?:\.[0-9]{1,3})? ?(?:B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;
export const DURATION_PATTERN: RegExp = /^(?:[0-9]{1,9}(?:s|m|h|d))+$/;

/** Bytes of "4 GiB", "512 MB", "100 B" (IEC 80000-13 prefixes). Throws `input`. */
export function parseSize(text: string): number {
  const match = SIZE_PATTERN.test(text) ? /^([0-9.]+) ?([A-Za-z]+)$/.exec(text) : null;
  if (match === null) {
    throw new BitforbitError("input", `not a size: ${JSON.stringify(text)}`, {
      hint: 'write it as "4 GiB" or "512 MB"',
    });
  }
  return Math.round(Number(match[1]) * (BYTES[match[2] ?? ""] ?? 1));
}

/** The shortest exact way to write a size. */
export function formatSize(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"]) {
    const factor = BYTES[unit] ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor} ${unit}`;
  }
  return `${bytes} B`;
}

/** Seconds of "30m", "1h30m", "90s", "2d". Throws `input`. */
export function parseDuration(text: string): number {
  if (!DURATION_PATTERN.test(text)) {
    throw new BitforbitError("input", `not a duration: ${JSON.stringify(text)}`, {
      hint: 'write it as "30m", "90s" or "1h30m"',
    });
  }
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9]+)([smhd])/g))
    seconds += Number(amount) * (SECONDS[unit ?? ""] ?? 1);
  return seconds;
}

export function formatDuration(seconds: number): string {
  for (const unit of ["d", "h", "m"]) {
    const factor = SECONDS[unit] ?? 1;
    if (seconds >= factor && seconds % factor === 0) return `${seconds / factor}${unit}`;
  }
  return `${seconds}s`;
}
