import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Normalised, Still } from "./normalised.ts";

/** A PNG whose tIME chunk (W3C PNG, 11.3.6.1) says no later time than the source's. */
export function normalisedPng(bytes: Uint8Array, { epoch }: Still): Normalised {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const done: string[] = [];
  for (let at = 8; at + 12 <= copy.length;) {
    const length = view.getUint32(at);
    const type = Buffer.from(copy.subarray(at + 4, at + 8)).toString("latin1");
    if (at + 12 + length > copy.length) break;
    if (type === "caBX") return { left: "it is signed" };
    if (type === "tIME" && length === 7) {
      const [month = 1, day = 1, hour = 0, minute = 0, second = 0] = copy.subarray(at + 10, at + 15);
      if (Date.UTC(view.getUint16(at + 8), month - 1, day, hour, minute, second) / 1000 > epoch) {
        const then = new Date(epoch * 1000);
        view.setUint16(at + 8, then.getUTCFullYear());
        const rest = [then.getUTCMonth() + 1, then.getUTCDate(), then.getUTCHours(), then.getUTCMinutes()];
        copy.set([...rest, then.getUTCSeconds()], at + 10);
        view.setUint32(at + 15, crc32(copy.subarray(at + 4, at + 15)));
        done.push("its time");
      }
    }
    at += 12 + length;
  }
  return { bytes: copy, done };
}

const PDF_DATE = /(\/(?:CreationDate|ModDate)\s*\(D:)(\d{14})([^()\\]{0,8})(?=\))/g;
const PDF_ID = /(\/ID\s*\[\s*<)([0-9A-Fa-f]{8,64})(>\s*<)([0-9A-Fa-f]{8,64})(?=>\s*\])/g;

/**
 * A PDF (ISO 32000-1, 14.3.3 and 14.4) whose dates are no later than the
 * source's, and whose identifier, a number of chance or time, follows from its
 * content. Only what stands there in plain is changed, length for length.
 */
export function normalisedPdf(bytes: Uint8Array, { epoch }: Still): Normalised {
  const text = Buffer.from(bytes).toString("latin1");
  if (/\/ByteRange\s*\[/.test(text)) return { left: "it is signed" };
  if (/\/Encrypt\s/.test(text)) return { left: "it is encrypted" };
  let dates = 0;
  const then = new Date(epoch * 1000).toISOString().replace(/\D/g, "").slice(0, 14);
  const dated = text.replace(PDF_DATE, (whole, start: string, digits: string, zone: string) => {
    const at = secondsOf(digits, zone);
    if (at === undefined || at <= epoch) return whole;
    dates++;
    return `${start}${then}${zone.replace(/[+-]/, "+").replace(/\d/g, "0")}`;
  });
  const hidden = dated.replace(
    PDF_ID,
    (_, a: string, first: string, b: string, second: string) =>
      `${a}${"0".repeat(first.length)}${b}${"0".repeat(second.length)}`,
  );
  const id = createHash("sha256").update(hidden, "latin1").digest("hex");
  const fixed =
    dates === 0
      ? dated
      : dated.replace(
          PDF_ID,
          (_, a: string, first: string, b: string, second: string) =>
            `${a}${id.slice(0, first.length)}${b}${id.slice(0, second.length)}`,
        );
  const done = [...(dates === 0 ? [] : ["its dates"]), ...(fixed === dated ? [] : ["its identifier"])];
  return { bytes: done.length === 0 ? bytes : new Uint8Array(Buffer.from(fixed, "latin1")), done };
}

/** Seconds since the epoch of `YYYYMMDDHHmmSS` and `Z`, `+01'00'` or nothing; undefined for what is no date. */
function secondsOf(digits: string, zone: string): number | undefined {
  const shift = /^(?:Z.*|([+-])(\d\d)'?(\d\d)?'?)?$/.exec(zone);
  if (shift === null) return undefined;
  const [year, month, day, hour, minute, second] = digits.match(/^\d{4}|\d\d/g)?.map(Number) ?? [];
  const away = (shift[1] === "-" ? -1 : 1) * (Number(shift[2] ?? 0) * 3600 + Number(shift[3] ?? 0) * 60);
  const at = Date.UTC(year ?? 0, (month ?? 1) - 1, day ?? 1, hour ?? 0, minute ?? 0, second ?? 0) / 1000 - away;
  return Number.isNaN(at) ? undefined : at;
}
