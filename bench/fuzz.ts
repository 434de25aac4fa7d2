/**
 * Fuzzes every format that `diff` looks into, from the golden pairs:
 *
 *     npm run fuzz                              ten minutes a format
 *     npm run fuzz -- --seconds 60 ELF PNG      these formats
 *     npm run fuzz -- --seconds 60 --rotate 17  the seventeenth format, round and round
 *     npm run fuzz -- --seed 42 …               the same inputs again
 *
 * Inputs are damaged where the format's own parts begin and end: fields get
 * extreme values and one another's, parts are cut out, doubled and swapped,
 * files end at their borders. Each is compared with the original, and the
 * difference must be complete, found within ten seconds and bounded memory;
 * anything thrown is a defect. What fails is kept below the temporary folder,
 * with the seed. The exit code is 1 when anything failed.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { memorySource } from "../src/bytesource.ts";
import { diffSources } from "../src/diff/diff.ts";
import { FORMATS } from "../src/diff/formats.ts";
import { BitforbitError } from "../src/errors.ts";
import type { Part } from "../src/format/part.ts";

interface Sample {
  format: string;
  /** Below golden/. */
  name: string;
  bytes: Uint8Array;
  parts: { offset: number; length: number }[];
}

const GOLDEN = resolve(import.meta.dirname, "../test/golden");
const MAX_PARTS = 5000;
const SLOW = 10_000;
const MOST_MEMORY = 1500 << 20;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string" }, rotate: { type: "string" }, seed: { type: "string" } },
});
const seconds = Number(values.seconds ?? 600);
const samples = await samplesOf(filesBelow(GOLDEN));
const all = [...new Set(samples.map(({ format }) => format))].toSorted();
const asked = positionals.length > 0 ? all.filter((name) => positionals.includes(name)) : all;
const rotated = values.rotate === undefined ? asked : asked.slice(Number(values.rotate) % asked.length).slice(0, 1);
if (rotated.length === 0) {
  console.error(`no golden pair of ${positionals.join(", ")}; there are ${all.join(", ")}`);
  process.exit(2);
}
let failures = 0;
for (const format of rotated) failures += await fuzz(format, Number(values.seed ?? 1));
process.exitCode = failures === 0 ? 0 : 1;

async function fuzz(format: string, seed: number): Promise<number> {
  const originals = samples.filter((sample) => sample.format === format);
  const random = generator(seed);
  const end = performance.now() + seconds * 1000;
  let runs = 0;
  let failed = 0;
  let slowest = 0;
  while (performance.now() < end && failed < 20) {
    const original = pick(originals, random);
    const damaged = damage(original, pick(originals, random), random);
    const started = performance.now();
    const why = await compared(original, damaged);
    const took = performance.now() - started;
    slowest = Math.max(slowest, took);
    runs++;
    const told = why ?? (took > SLOW ? `took ${Math.round(took)} ms` : undefined);
    if (told !== undefined) keep(++failed, format, original, damaged, told, seed);
  }
  const rss = Math.round(process.memoryUsage().rss / 2 ** 20);
  const mark = failed === 0 ? "ok" : `${failed} FAILED`;
  console.log(`${format}: ${runs} inputs, slowest ${Math.round(slowest)} ms, ${rss} MiB: ${mark}`);
  return failed;
}

async function compared(original: Sample, damaged: Uint8Array): Promise<string | undefined> {
  const options = { prove: true, maxInflated: 256 << 20, maxInMemory: 64 << 20 };
  try {
    const [a, b] = [memorySource(original.bytes, original.name), memorySource(damaged, original.name)];
    const difference = await diffSources(a, b, [original.name], options);
    if ((difference === undefined) !== (Buffer.compare(original.bytes, damaged) === 0)) return "equal or not is wrong";
    if (process.memoryUsage().rss > MOST_MEMORY) return `${process.memoryUsage().rss >> 20} MiB of memory`;
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

function keep(count: number, format: string, original: Sample, damaged: Uint8Array, why: string, seed: number): void {
  const folder = join(tmpdir(), "bitforbit-fuzz");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${format.replaceAll(/\W/g, "-")}-${seed}-${count}`);
  writeFileSync(path, damaged);
  console.error(
    `${format}, ${original.name}, seed ${seed}: ${why.split("\n").slice(0, 6).join("\n  ")}\n  kept as ${path}`,
  );
}

/** What a file is damaged by: one to four changes, each at a border of its parts or anywhere. */
function damage(sample: Sample, other: Sample, random: () => number): Uint8Array {
  let bytes = Uint8Array.from(sample.bytes);
  const { parts } = sample;
  for (let changes = 1 + Math.floor(random() * 4); changes > 0; changes--) {
    const part = parts.length === 0 || random() < 0.2 ? anywhere(bytes.length, random) : pick(parts, random);
    const [from, to] = [Math.min(part.offset, bytes.length), Math.min(part.offset + part.length, bytes.length)];
    const target = bytes.subarray(from, to);
    const choice = Math.floor(random() * 9);
    if (choice <= 2) overwrite(target, random);
    else if (choice === 3) bytes = spliced(bytes, from, to, new Uint8Array(0));
    else if (choice === 4) bytes = spliced(bytes, to, to, target.slice(0, 1 << 16));
    else if (choice === 5) {
      const source = pick(parts.length === 0 ? [part] : parts, random);
      bytes = spliced(bytes, from, to, bytes.slice(source.offset, source.offset + Math.min(source.length, 1 << 16)));
    } else if (choice === 6) {
      const source = other.parts.length === 0 ? anywhere(other.bytes.length, random) : pick(other.parts, random);
      bytes = spliced(bytes, from, to, other.bytes.slice(source.offset, source.offset + source.length));
    } else if (choice === 7)
      bytes = bytes.slice(0, Math.max(0, (random() < 0.5 ? from : to) + Math.floor(random() * 5) - 2));
    else if (bytes.length > 0) {
      const at = Math.floor(random() * bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    }
  }
  return bytes;
}

function anywhere(length: number, random: () => number): { offset: number; length: number } {
  return { offset: Math.floor(random() * length), length: 1 + Math.floor(random() * 8) };
}

function overwrite(target: Uint8Array, random: () => number): void {
  const values = [0, 1, 2, 0x7f, 0x80, 0xff, 0x30, 0x39];
  const how = Math.floor(random() * 4);
  if (how === 0) target.fill(pick(values, random));
  else if (how === 1) for (let at = 0; at < Math.min(target.length, 64); at++) target[at] = Math.floor(random() * 256);
  else if (how === 2 && target.length > 0) {
    const at = random() < 0.5 ? 0 : target.length - 1;
    target[at] = ((target[at] ?? 0) + (random() < 0.5 ? 1 : 255)) & 0xff;
  } else if (target.length > 0) {
    target.fill(0xff);
    target[random() < 0.5 ? 0 : target.length - 1] = pick(values, random);
  }
}

function spliced(bytes: Uint8Array, from: number, to: number, between: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat([bytes.subarray(0, from), between, bytes.subarray(to)]));
}

function pick<T>(items: readonly T[], random: () => number): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

/** mulberry32: the same numbers from the same seed, on every machine. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return /^[ab](\.|$)/.test(entry.name) && statSync(path).size < 1 << 20 ? [path] : [];
  });
}

/** Every golden file as a sample of its format; of a gzip, what it holds as well. */
async function samplesOf(paths: readonly string[]): Promise<Sample[]> {
  const found: Sample[] = [];
  for (const path of paths) {
    const bytes = new Uint8Array(readFileSync(path));
    const name = path.slice(GOLDEN.length + 1);
    found.push(...(await sampleOf(name, bytes)));
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
      found.push(...(await sampleOf(name.replace(/\.gz$/, ""), new Uint8Array(gunzipSync(bytes)))));
    }
  }
  return found;
}

async function sampleOf(name: string, bytes: Uint8Array): Promise<Sample[]> {
  const source = memorySource(bytes, name);
  for (const format of FORMATS) {
    if (!format.looksLike(bytes.subarray(0, 4096), name, source)) continue;
    try {
      const parts: Part[] = [];
      flatten(await (await format.load())(source, name), parts);
      return [{ format: format.name, name, bytes, parts: parts.map(({ offset, length }) => ({ offset, length })) }];
    } catch (error) {
      if (!(error instanceof BitforbitError)) throw error;
    }
  }
  return [{ format: bytes[0] === 0x1f && bytes[1] === 0x8b ? "gzip" : "text", name, bytes, parts: [] }];
}

function flatten(parts: Iterable<Part>, found: Part[]): void {
  for (const part of parts) {
    if (found.push(part) > MAX_PARTS) return;
    if (part.parts === undefined) continue;
    try {
      flatten(part.parts(), found);
    } catch (error) {
      if (!(error instanceof BitforbitError)) throw error;
    }
  }
}
