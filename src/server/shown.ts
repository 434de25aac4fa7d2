/** Values as people read them, as text: the pages escape it. */
import { rfc3339 } from "../clock.ts";
import type { Metric, Verdict } from "./evidence.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `2026-11-23 10:20:30 UTC`. */
export function shownTime(at: number): string {
  return isTime(at) ? rfc3339(at).replace("T", " ").replace("Z", " UTC") : "at an unknown time";
}

/** Whether `at` can be written as RFC 3339: years 0 to 9999. */
export function isTime(at: number): boolean {
  return Number.isFinite(at) && at >= -62_167_219_200_000 && at < 253_402_300_800_000;
}

/** `3 minutes ago`, `in 2 days` (a clock that is off), `just now`. */
export function shownAge(at: number, now: number): string {
  if (!isTime(at)) return "";
  const distance = Math.abs(now - at);
  if (distance < 5 * SECOND) return "just now";
  const units: [number, string][] = [
    [365 * DAY, "year"],
    [30 * DAY, "month"],
    [DAY, "day"],
    [HOUR, "hour"],
    [MINUTE, "minute"],
    [SECOND, "second"],
  ];
  const [length, name] = units.find(([size]) => distance >= size) ?? [SECOND, "second"];
  const count = Math.floor(distance / length);
  const words = `${count} ${name}${count === 1 ? "" : "s"}`;
  return at <= now ? `${words} ago` : `in ${words}`;
}

/** `840 ms`, `12.4 s`, `2 min 05 s`, `1 h 02 min`. */
export function shownDuration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds) || milliseconds < 0) return "unknown";
  if (milliseconds > 0 && milliseconds < 0.95) return `${milliseconds.toFixed(2)} ms`;
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / SECOND).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / SECOND);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** Decimal units, as disks and networks are sold: `812 B`, `5.2 kB`, `71.6 MB`. */
export function shownSize(bytes: number): string {
  const units = ["kB", "MB", "GB", "TB"];
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 99.95 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]}`;
}

/** `12 345`: groups of three with thin spaces, the same in every locale. */
export function shownCount(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, "\u202f");
}

/** `1 output`, `2 outputs`. */
export function counted(count: number, noun: string, plural: string = `${noun}s`): string {
  return `${shownCount(count)} ${count === 1 ? noun : plural}`;
}

/** The first twelve digits of a digest or commit: enough to tell by eye, never enough to trust. */
export function shortened(digest: string): string {
  const digits = digest.startsWith("sha256:") ? digest.slice(7) : digest;
  return digits.length > 12 ? `${digits.slice(0, 12)}…` : digits;
}

export function shownMetric(metric: Metric): string {
  const { value, unit } = metric;
  if (value === undefined || !Number.isFinite(value)) return "–";
  if (unit === "ratio") return `${trimmed(value * 100)} %`;
  if (unit === "percent" || unit === "%") return `${trimmed(value)} %`;
  if (unit === "milliseconds" || unit === "ms") return shownDuration(value);
  if (unit === "seconds" || unit === "s") return shownDuration(value * SECOND);
  if (unit === "minutes" || unit === "min") return shownDuration(value * MINUTE);
  return unit === "count" || unit === "" ? trimmed(value) : `${trimmed(value)} ${unit}`;
}

/** At most one decimal, and none where it is zero; never rounded up to a whole that was not reached. */
function trimmed(value: number): string {
  const cut = Math.trunc(value * 10 + Math.sign(value) * 1e-9) / 10;
  return Number.isInteger(cut) ? shownCount(cut) : cut.toFixed(1);
}

export interface VerdictWords {
  /** A sign that is not told by colour. */
  sign: string;
  word: string;
  tone: "good" | "warn" | "bad" | "none";
  /** What it means, in a sentence. */
  sentence: string;
}

export function verdictWords(verdict: Verdict | undefined): VerdictWords {
  switch (verdict) {
    case "reproducible":
      return {
        sign: "✓",
        word: "reproducible",
        tone: "good",
        sentence: "Two builds in different worlds gave the same bytes.",
      };
    case "differs":
      return {
        sign: "≠",
        word: "differs",
        tone: "warn",
        sentence: "Both worlds built, and their outputs are not the same bytes.",
      };
    case "fails-in-adversarial":
      return {
        sign: "!",
        word: "fails in the adversarial world",
        tone: "warn",
        sentence: "It builds in the canonical world and fails in the other: what it relies on is not pinned.",
      };
    case "failed":
      return { sign: "✗", word: "failed", tone: "bad", sentence: "The project's own build failed." };
    default:
      return {
        sign: "…",
        word: "no verdict",
        tone: "none",
        sentence: "No two worlds were compared: it was built once, is still running, or was cut off.",
      };
  }
}
