/**
 * Differential fuzz of verification: mutated Sigstore bundles, their notes and
 * proofs, judged by ours and by @sigstore/verify. What we accept and the other
 * refuses is a defect, unless the other only fell over; what we refuse and it
 * accepts is counted by our reason.
 *
 *     node bench/differential.ts --count 100000               from the beginning
 *     node bench/differential.ts --count 100000 --from 100000 goes on: every input is made of its number and the seed
 *
 * Inputs come from the published vectors where they are, and from a Sigstore of
 * the test's own; those of the latter differ in keys from run to run. Prints a
 * table; the exit code is 1 when there was a defect, whose input is kept below
 * the temporary folder.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ARTIFACT, Authority, bytesOf, DIGEST, IDENTITY, ISSUER } from "../test/authority.ts";
import { ours, type SigstoreCase, sigstoreJs } from "../test/sigstore-oracle.ts";
import { sigstoreVectors } from "../test/sigstore-vectors.ts";

interface Sample {
  name: string;
  json: Json;
  ours: ReturnType<typeof ours>;
  theirs: ReturnType<typeof sigstoreJs>;
}
type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const { values } = parseArgs({
  options: { count: { type: "string" }, from: { type: "string" }, seed: { type: "string" } },
});
const [from, count, seed] = [Number(values.from ?? 0), Number(values.count ?? 10_000), Number(values.seed ?? 1)];
const samples = goodOnes();
const classes = new Map<string, number>();
let defects = 0;
for (let number = from; number < from + count; number++) {
  judge(number);
  if ((number + 1) % 10_000 === 0) console.error(`${number + 1}: ${defects} defects`);
}
console.log(`${count} inputs from ${from}, seed ${seed}, ${samples.length} originals: ${defects} defects`);
for (const [name, times] of [...classes].toSorted(([, a], [, b]) => b - a))
  console.log(`${String(times).padStart(8)}  ${name}`);
process.exitCode = defects === 0 ? 0 : 1;

function goodOnes(): Sample[] {
  const authority = new Authority();
  const own: SigstoreCase = {
    artifact: ARTIFACT,
    trustedRoot: authority.trustedRoot(),
    identity: IDENTITY,
    issuer: ISSUER,
    key: undefined,
  };
  const good = sigstoreVectors().filter(({ fails }) => !fails);
  const found = [{ ...own, name: "own", bundle: bytesOf(authority.bundle(DIGEST)) }, ...good];
  return found.map((one) => ({
    name: one.name,
    json: JSON.parse(new TextDecoder().decode(one.bundle)) as Json,
    ours: ours(one),
    theirs: sigstoreJs(one),
  }));
}

function judge(number: number): void {
  const random = generator(seed * 0x9e3779b1 + number);
  const sample = pick(samples, random);
  const copy = structuredClone(sample.json);
  for (let changes = random() < 0.7 ? 1 : 2; changes > 0; changes--) mutate(copy, pick(samples, random).json, random);
  const text = JSON.stringify(copy);
  const bytes = new TextEncoder().encode(random() < 0.05 ? mangled(text, random) : text);
  const decision = sample.ours(bytes);
  const refusal = sample.theirs(bytes);
  const last = decision.reasons.at(-1);
  // A refusal with a cause is one of its own errors; others are programs that fell over.
  const cause =
    refusal === undefined || /^(?:VerificationError|PolicyError|ValidationError|RFC3161|ASN1)/.test(refusal);
  const reason = `${last?.check}: ${last?.message.replaceAll(/https?:\S+|sha256:\S+|[0-9]+|"[^"]*"|0x[0-9a-f]+/g, "…").slice(0, 70)}`;
  if (decision.ok && refusal !== undefined) {
    if (cause) keep(number, bytes, refusal);
    add(`ours accepts, theirs ${cause ? "REFUSES" : "falls over"}: ${refusal.slice(0, 80)}`);
  } else if (!decision.ok && refusal === undefined) add(`ours is stricter: ${reason}`);
  else add(decision.ok ? "both accept" : "both refuse");
}

function add(name: string): void {
  classes.set(name, (classes.get(name) ?? 0) + 1);
}

function keep(number: number, bytes: Uint8Array, refusal: string): void {
  defects++;
  const folder = join(tmpdir(), "bitforbit-differential");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${seed}-${number}.json`);
  writeFileSync(path, bytes);
  console.error(`input ${number}: ours accepts, @sigstore/verify: ${refusal}\n  kept as ${path}`);
}

type Place = { parent: Json[] | { [key: string]: Json }; key: string | number };

function places(value: Json, found: Place[] = []): Place[] {
  if (value === null || typeof value !== "object") return found;
  const keys = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  for (const key of keys) {
    found.push({ parent: value, key });
    places((value as Record<string | number, Json>)[key] ?? null, found);
  }
  return found;
}

/** One change somewhere: to a field's bytes, its text, its place, or with a field of another bundle. */
function mutate(root: Json, other: Json, random: () => number): void {
  const { parent, key } = pick(places(root), random);
  const holder = parent as Record<string | number, Json>;
  const value = holder[key] ?? null;
  const choice = Math.floor(random() * 10);
  if (choice === 0) {
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else delete holder[key];
  } else if (choice === 1) {
    const source = pick(places(other), random);
    holder[key] = structuredClone((source.parent as Record<string | number, Json>)[source.key] ?? null);
  } else if (choice === 2 && Array.isArray(value)) value.push(structuredClone(value[0] ?? null));
  else if (choice === 3 && !Array.isArray(parent)) {
    holder[
      pick(["extra", "publicKey", "certificate", "x509CertificateChain", "dsseEnvelope", "messageSignature"], random)
    ] = structuredClone(value);
  } else if (typeof value === "string") holder[key] = changedText(value, random);
  else if (typeof value === "number") holder[key] = value + (random() < 0.5 ? 1 : -1);
  else holder[key] = pick([null, "", "0", [], {}], random);
}

function changedText(text: string, random: () => number): string {
  const encoded = /^[A-Za-z0-9+/]{8,}={0,2}$/.test(text);
  if (encoded && random() < 0.8) return changedBytes(Buffer.from(text, "base64"), random).toString("base64");
  if (/^\d+$/.test(text) && random() < 0.7) return String(BigInt(text) + BigInt(Math.floor(random() * 5) - 2));
  return mangled(text, random);
}

function changedBytes(bytes: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * bytes.length);
  const choice = Math.floor(random() * 6);
  if (choice <= 2) bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  else if (choice === 3) bytes[at] = Math.floor(random() * 256);
  else if (choice === 4) return bytes.subarray(0, at);
  else return Buffer.concat([bytes.subarray(0, at), Buffer.of(Math.floor(random() * 256)), bytes.subarray(at)]);
  return bytes;
}

function mangled(text: string, random: () => number): string {
  const at = Math.floor(random() * (text.length + 1));
  const [head, tail] = [text.slice(0, at), text.slice(at)];
  const choice = Math.floor(random() * 4);
  if (choice === 0) return head + tail.slice(1);
  if (choice === 1) return head + pick([" ", "\n", "=", "-", "_", "A", "0", "é", "\\u0000", ","], random) + tail;
  if (choice === 2) return head + tail.slice(0, 20) + tail;
  return head + (tail[0] === "A" ? "B" : "A") + tail.slice(1);
}

function pick<T>(items: readonly T[], random: () => number): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

/** mulberry32: the same numbers from the same seed, on every machine. */
function generator(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
