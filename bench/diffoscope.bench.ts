/**
 * `bitforbit diff` and diffoscope (Debian's diffoscope-minimal, with the
 * helpers that it runs) on the pairs of `npm run pairs`, in turn. Writes
 * figures.json beside each pair, of which docs/diff.md has the table.
 *
 *     npm run bench -- diffoscope                       all pairs
 *     npm run bench -- diffoscope --only "deb- oci"     those whose name begins so
 *     npm run bench -- diffoscope --resume              goes on: what was measured of this very bundle is kept
 *     npm run bench -- diffoscope --minutes 10 --resume a part of it; what is left is told
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { askPeer, LONGEST } from "../scripts/against/answer.ts";
import { pairsThatAreThere, type MadePair } from "../scripts/pairs/all.ts";
import { digestOf, digestOfFile } from "../src/digest.ts";
import { type Figure, measure } from "./measured.ts";
import { type Command, median } from "./paired.ts";
import type { Row } from "./run.ts";

const ROUNDS = 3;
/** A pair that takes the peer longer than this is run once. */
const LONG_ENOUGH = 10;

export interface Figures {
  ours: Figure;
  /** Not there: diffoscope could not be had. */
  peer?: Figure;
  /** Of the machine, before each run: the highest. */
  load: number;
}

/** What is kept beside a pair; `of`: the bundle that was measured, so that figures of two are never mixed. */
interface Kept extends Figures {
  of?: string;
}

interface Compared extends Figures {
  pair: MadePair;
}

const { values } = parseArgs({
  allowPositionals: true,
  options: { only: { type: "string" }, minutes: { type: "string" }, resume: { type: "boolean" } },
});

export async function bench(): Promise<Row[]> {
  const pairs = pairsThatAreThere((values.only ?? "").split(" ").filter((word) => word !== ""));
  if (pairs.length === 0) throw new Error("no pairs are there: npm run pairs");
  const end = performance.now() + Number(values.minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  const of = await bundleDigest();
  const all: Compared[] = [];
  const left: string[] = [];
  for (const pair of pairs) {
    const kept = values.resume === true ? keptFigures(pair, of) : undefined;
    if (kept !== undefined) all.push({ pair, ...kept });
    else if (performance.now() > end) left.push(pair.name);
    else all.push(compared(pair, of));
  }
  if (left.length > 0) console.log(`    not measured, the time is up: ${left.join(" ")}`);
  const told = all.filter(({ peer }) => peer !== undefined);
  return [...all.map(rowOf), ...sumsOf(told), ...goalsOf(all)];
}

/** Of all that runs when the bundle does, by the names and contents of its files. */
async function bundleDigest(): Promise<string> {
  const chunks = readdirSync("dist/chunks")
    .filter((name) => name.endsWith(".cjs"))
    .toSorted();
  const digests = ["bitforbit.cjs", ...chunks.map((name) => `chunks/${name}`)].map((name) =>
    digestOfFile(`dist/${name}`),
  );
  return digestOf((await Promise.all(digests)).join("\n"));
}

const placeOf = (pair: MadePair): string => join(dirname(dirname(pair.a)), "figures.json");

function keptFigures(pair: MadePair, of: string): Figures | undefined {
  if (!existsSync(placeOf(pair))) return undefined;
  const kept = JSON.parse(readFileSync(placeOf(pair), "utf8")) as Kept;
  return kept.of === of ? kept : undefined;
}

function compared(pair: MadePair, of: string): Compared {
  const ours: Command = [process.execPath, "dist/bitforbit.cjs", "diff", pair.a, pair.b];
  measure(ours, { accept: [0, 1], seconds: LONGEST });
  const [a, b]: [Figure[], Figure[]] = [[], []];
  let load = 0;
  for (let round = 0; round < ROUNDS; round++) {
    load = Math.max(load, loadavg()[0] ?? 0);
    a.push(measure(ours, { accept: [0, 1], seconds: LONGEST }));
    if (round === 0 || (b[0]?.seconds ?? 0) < LONG_ENOUGH) b.push(askPeer(pair));
  }
  const figures: Figures = { ours: middle(a), peer: middle(b), load };
  writeFileSync(placeOf(pair), JSON.stringify({ ...figures, of } satisfies Kept));
  console.log(
    `    ${pair.name}: ${figures.ours.seconds.toFixed(2)} s, diffoscope ${figures.peer?.seconds.toFixed(2)} s`,
  );
  return { pair, ...figures };
}

function middle(figures: readonly Figure[]): Figure {
  return {
    seconds: median(figures.map(({ seconds }) => seconds)),
    mebibytes: median(figures.map(({ mebibytes }) => mebibytes)),
    ended: figures.every(({ ended }) => ended),
  };
}

function rowOf({ pair, ours, peer }: Compared): Row {
  const memory = `${ours.mebibytes.toFixed(0)} MiB`;
  const row = { what: `${pair.name} (${memory})`, ours: ours.seconds * 1000, unit: "ms", goal: "never slower" };
  if (peer === undefined) return { ...row, peer: undefined, peerName: "no diffoscope here", met: false };
  if (!peer.ended) return { ...row, peer: undefined, peerName: `diffoscope: no answer in ${LONGEST} s`, met: true };
  const peerName = `diffoscope (${peer.mebibytes.toFixed(0)} MiB)`;
  return { ...row, peer: peer.seconds * 1000, peerName, met: ours.seconds <= peer.seconds };
}

/** How many times as fast; where the peer was stopped, at least so. */
const speedUp = ({ ours, peer }: Figures): number => (peer?.seconds ?? Number.NaN) / ours.seconds;

function sumsOf(all: readonly Compared[]): Row[] {
  const ratios = all.map(speedUp);
  const [middling, least] = [median(ratios), Math.min(...ratios)];
  const row = { peer: undefined, unit: "times as fast", peerName: `over ${all.length} pairs` };
  return [
    { ...row, what: "median", ours: middling, goal: "at least 20", met: middling >= 20 },
    { ...row, what: "least", ours: least, goal: "at least 1", met: least >= 1 },
  ];
}

const HASH = [
  'import { createHash } from "node:crypto";',
  'import { openSync, readSync } from "node:fs";',
  "const buffer = Buffer.alloc(1 << 20);",
  "for (const path of process.argv.slice(1)) {",
  '  const [file, hash] = [openSync(path), createHash("sha256")];',
  "  for (let n; (n = readSync(file, buffer)) > 0;) hash.update(buffer.subarray(0, n));",
  '  console.log(hash.digest("hex"));',
  "}",
].join("\n");

function goalsOf(all: readonly Compared[]): Row[] {
  const rows: Row[] = [];
  for (const { pair, ours } of all) {
    const row = { peer: undefined, peerName: "" };
    const seconds = (what: string, limit: number): number =>
      rows.push({ ...row, what, ours: ours.seconds, unit: "s", goal: `under ${limit}`, met: ours.seconds < limit });
    if (pair.name === "tar-200") seconds("200 MB tar, one line", 2);
    if (pair.name === "elf-node") {
      const size = statSync(pair.a).size >> 20;
      seconds(`${size} MiB ELF, one byte`, 1);
      const { mebibytes } = ours;
      rows.push({
        ...row,
        what: "its peak memory",
        ours: mebibytes,
        unit: "MiB",
        goal: "under 300",
        met: mebibytes < 300,
      });
    }
    if (pair.name === "equal-200") rows.push(...hashing(pair));
  }
  return rows;
}

/** Equal inputs, against hashing both. */
function hashing({ a, b }: MadePair): Row[] {
  if (!existsSync(a)) return [];
  const options = { accept: [0], seconds: LONGEST };
  const node = process.execPath;
  const rivals: [string, Command][] = [
    ["node:crypto of both", [node, "--input-type=module", "-e", HASH, a, b]],
    ["sha256sum of both", ["sha256sum", a, b]],
  ];
  return rivals.map(([peerName, command]) => {
    const times = Array.from({ length: ROUNDS }, () => ({
      a: measure([node, "dist/bitforbit.cjs", "diff", a, b], options).seconds * 1000,
      b: measure(command, options).seconds * 1000,
    }));
    const [ours, peer] = [median(times.map((pair) => pair.a)), median(times.map((pair) => pair.b))];
    return { what: "equal, 200 MB each", ours, peer, peerName, unit: "ms", goal: "at most 1", met: ours <= peer };
  });
}
