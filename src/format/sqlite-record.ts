import { quoted } from "./listing.ts";

/** Records of a SQLite database (File Format, sections 1.6 and 2.1), and what names their columns. */

/** A number of one to nine bytes, seven bits each, the ninth of eight. Undefined when it is cut off. */
export function varint(bytes: Uint8Array, at: number): { value: bigint; next: number } | undefined {
  let value = 0n;
  let small = 0;
  for (let index = 0; index < 9; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) return undefined;
    if (index === 8) return { value: BigInt.asIntN(64, (value << 8n) | BigInt(byte)), next: at + 9 };
    // Numbers of four bytes are by far the most: no big integers for them.
    if (index < 4) small = small * 128 + (byte & 127);
    if (index === 3) value = BigInt(small);
    if (index >= 4) value = (value << 7n) | BigInt(byte & 127);
    if ((byte & 128) === 0) return { value: index < 4 ? BigInt(small) : value, next: at + index + 1 };
  }
  return undefined;
}

export interface Column {
  /** Serial type, and where it stands in the payload: 0 and 1 stand there alone. */
  type: number;
  typeAt: number;
  typeLength: number;
  /** From the beginning of the payload. */
  at: number;
  length: number;
}

const MAX_COLUMNS = 32_768;
const LENGTHS = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0];

/** Where a record's columns stand in its payload, of which at least the header must be there; undefined when broken. */
export function columnsOf(
  payload: Uint8Array,
): { typesAt: number; headerLength: number; columns: Column[] } | undefined {
  const head = varint(payload, 0);
  if (head === undefined || head.value > BigInt(payload.length) || head.value < BigInt(head.next)) return undefined;
  const headerLength = Number(head.value);
  const columns: Column[] = [];
  let at = headerLength;
  for (let place = head.next; place < headerLength;) {
    const type = varint(payload, place);
    if (type === undefined || type.value < 0n || type.value > 0x1_0000_0000n || columns.length >= MAX_COLUMNS) {
      return undefined;
    }
    // A type that reaches into the values.
    if (type.next > headerLength) return undefined;
    const number = Number(type.value);
    const length = number < 12 ? (LENGTHS[number] ?? 0) : Math.floor((number - 12) / 2);
    columns.push({ type: number, typeAt: place, typeLength: type.next - place, at, length });
    at += length;
    place = type.next;
  }
  return { typesAt: head.next, headerLength, columns };
}

export type Encoding = "utf8" | "utf16le" | "utf16be";

/** A column's value as SQL would write it; of what reaches beyond `payload`, the beginning. */
export function valueShown(payload: Uint8Array, { type, at, length }: Column, encoding: Encoding): string {
  const bytes = Buffer.from(payload.subarray(at, Math.min(at + length, at + 2000)));
  if (type === 0) return "NULL";
  if (type === 8 || type === 9) return String(type - 8);
  if (type < 12 && bytes.length < length) return "?";
  if (type === 7) return String(bytes.readDoubleBE(0));
  if (type === 6) return String(bytes.readBigInt64BE(0));
  if (type < 6) return String(bytes.readIntBE(0, length));
  if (type < 12) return "?";
  if (type % 2 === 0) return `x'${bytes.toString("hex").slice(0, 120)}${length > 60 ? "…" : ""}' (${length} bytes)`;
  const text =
    encoding === "utf8"
      ? bytes.toString()
      : (encoding === "utf16be" ? bytes.subarray(0, bytes.length & ~1).swap16() : bytes).toString("utf16le");
  return quoted(text, 400);
}

/** Names of the columns, of those of the primary key, in the order of the statement. */
export interface Declaration {
  columns: string[];
  key: string[];
}

const CONSTRAINT = /^(?:CONSTRAINT|PRIMARY|UNIQUE|CHECK|FOREIGN)\b/i;

/** What a CREATE TABLE statement declares, as far as it can be read without a full parser. */
export function declarationOf(sql: string): Declaration {
  const found: Declaration = { columns: [], key: [] };
  if (sql.length > 1 << 20) return found;
  for (const piece of pieces(sql.slice(sql.indexOf("(") + 1))) {
    const primary = /\bPRIMARY\s+KEY\b\s*(?:\(([^)]*)\))?/i.exec(piece);
    if (CONSTRAINT.test(piece)) {
      if (primary?.[1] !== undefined) found.key = primary[1].split(",").map((name) => nameIn(name.trim()));
      continue;
    }
    const name = nameIn(piece);
    found.columns.push(name);
    if (primary !== null) found.key = [name];
  }
  return found;
}

/** Splits at commas outside of parentheses and quotes, up to the closing parenthesis. */
function pieces(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let from = 0;
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if (quote !== "") {
      if (character === quote) quote = "";
      continue;
    }
    if (`"'\`[`.includes(character)) quote = character === "[" ? "]" : character;
    else if (character === "(") depth++;
    else if ((character === "," && depth === 0) || (character === ")" && depth-- === 0)) {
      found.push(text.slice(from, at).trim());
      from = at + 1;
      if (character === ")") return found;
    }
  }
  return found;
}

function nameIn(piece: string): string {
  const match = /^(?:"([^"]*)"|`([^`]*)`|\[([^\]]*)\]|'([^']*)'|([^\s(,]+))/.exec(piece);
  return match?.slice(1).find((name) => name !== undefined) ?? "?";
}
