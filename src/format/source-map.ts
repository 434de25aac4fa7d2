import type { Part } from "./part.ts";

/**
 * Mappings of a source map (ECMA-426, section "Mappings grammar") as a text: a
 * line for each mapping, an empty one where a line of the generated code ends.
 * Everything in them counts from the mapping before it, and so it is told: a
 * line inserted into a source then changes one mapping and not all that follow.
 *
 *     column +8 → src/a.ts line +1 column -4 (name)
 */
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE: Int8Array = new Int8Array(128).fill(-1);
for (let digit = 0; digit < 64; digit++) VALUE[DIGITS.charCodeAt(digit)] = digit;
const LINES_AT_ONCE = 1000;

/** Sources without the way up, which depends on where the map stands. */
export function sourceNames(sources: readonly string[]): string[] {
  return sources.map((source) => source.replace(/^(?:\.\.?\/)+/, ""));
}

/** `text`: the string of the mappings, which stands at `offset` with its quotes. */
export function mappingsPart(
  text: Uint8Array,
  offset: number,
  sources: readonly string[],
  names: readonly string[],
): Part {
  const run: NonNullable<Part["decode"]>["run"] = (sink) => {
    let lines: string[] = [];
    for (const line of mappingLines(text, sources, names)) {
      if (lines.push(line) < LINES_AT_ONCE) continue;
      sink(new Uint8Array(Buffer.from(lines.join(""))));
      lines = [];
    }
    sink(new Uint8Array(Buffer.from(lines.join(""))));
    return Promise.resolve();
  };
  return { key: "", kind: "content", offset, length: text.length + 2, decode: { name: "mappings", run } };
}

export function* mappingLines(
  text: Uint8Array,
  sources: readonly string[],
  names: readonly string[],
): Generator<string> {
  let source = 0;
  let name = 0;
  for (const values of mappings(text)) {
    if (values === undefined) {
      yield "\n";
      continue;
    }
    const [column = 0, bySource = 0, line = 0, inLine = 0, byName = 0] = values;
    source += bySource;
    name += byName;
    const to = `${sources[source] ?? `source ${source}`} line ${signed(line)} column ${signed(inLine)}`;
    const named = values.length > 4 ? ` (${names[name] ?? `name ${name}`})` : "";
    yield `column ${signed(column)}${values.length < 4 ? "" : ` → ${to}${named}`}\n`;
  }
}

function signed(value: number): string {
  return value < 0 ? String(value) : `+${value}`;
}

/** Base64 VLQ: five bits a digit, the lowest group first, the lowest bit of all the sign. Undefined: a line ends. */
function* mappings(text: Uint8Array): Generator<number[] | undefined> {
  let values: number[] = [];
  let value = 0;
  let shift = 0;
  for (const byte of text) {
    if (byte === 0x2c || byte === 0x3b) {
      if (values.length > 0) yield values;
      if (byte === 0x3b) yield undefined;
      values = [];
      value = shift = 0;
      continue;
    }
    const digit = byte < 128 ? (VALUE[byte] ?? -1) : -1;
    if (digit < 0 || shift > 30 || values.length > 4) continue;
    value += (digit & 31) * 2 ** shift;
    if ((digit & 32) !== 0) shift += 5;
    else {
      values.push(value % 2 === 0 ? value / 2 : -(value - 1) / 2);
      value = shift = 0;
    }
  }
  if (values.length > 0) yield values;
}
