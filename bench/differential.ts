/**
 * Differential fuzz of verification: mutated Sigstore bundles, their notes and
 * proofs, judged by ours and by @sigstore/verify. What we accept and the other
 * refuses is a defect, unless the other only fell over; what we refuse and it
 * accepts is counted by our reason.
 *
 *     node bench/differential.ts --count 100000               from the beginning
 *     node bench/differential.ts --count 100000 --from 100000 goes on: every input is made of its number and the seed
 *     node bench/differential.ts --count 100000 --cosign 500   and the real cosign on 500 of them, evenly spread
 *
 * Inputs come from the published vectors where they are, and from a Sigstore of
 * the test's own; those of the latter differ in keys from run to run. Prints a
 * table; the exit code is 1 when there was a defect, whose input is kept below
 * the temporary folder.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ARTIFACT, Authority, bytesOf, DIGEST, IDENTITY, ISSUER } from "../test/authority.ts";
import { cosign } from "../test/cosign.ts";
import { ours, type SigstoreCase, sigstoreJs } from "../test/sigstore-oracle.ts";
import { sigstoreVectors } from "../test/sigstore-vectors.ts";

interface Sample {
  name: string;
  json: Json;
  ours: ReturnType<typeof ours>;
  theirs: ReturnType<typeof sigstoreJs>;
  /** The real cosign's reason of a refusal, or undefined; nothing where it was not asked for, or refuses the original. */
  cosign: ((bundle: Uint8Array) => string | undefined) | undefined;
}
type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const { values } = parseArgs({
  options: {
    count: { type: "string" },
    from: { type: "string" },
    seed: { type: "string" },
    cosign: { type: "string" },
  },
});
const [from, count, seed] = [Number(values.from ?? 0), Number(values.count ?? 10_000), Number(values.seed ?? 1)];
const classes = new Map<string, number>();
let defects = 0;
const asked = Number(values.cosign ?? 0);
const folder = mkdtempSync(join(tmpdir(), "bitforbit-cosign-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
const samples = goodOnes();
let run = 0;
for (let number = from; number < from + count; number++) {
  judge(number);
  if ((number + 1) % 10_000 === 0) console.error(`${number + 1}: ${defects} defects`);
}
if (asked > 0) console.log(`the real cosign judged ${run} of them`);
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
    cosign: asked === 0 ? undefined : cosignOn(one),
  }));
}

/** The real cosign on bundles of one case, offline. */
function cosignOn(one: SigstoreCase & { name: string; bundle: Uint8Array }): Sample["cosign"] {
  const program = cosign();
  if ("skip" in program) throw new Error(program.skip);
  const at = (name: string): string => join(folder, `${one.name.replaceAll(/[^a-z0-9]/gi, "-")}-${name}`);
  writeFileSync(at("root.json"), one.trustedRoot);
  writeFileSync(at("artifact"), one.artifact);
  if (one.key !== undefined) writeFileSync(at("key.pub"), one.key);
  const identity = ["--certificate-identity", one.identity, "--certificate-oidc-issuer", one.issuer];
  const who = one.key === undefined ? identity : ["--key", at("key.pub")];
  const original = JSON.parse(new TextDecoder().decode(one.bundle)) as { dsseEnvelope?: { payload: string } };
  const payload = original.dsseEnvelope?.payload;
  const type = payload === undefined ? undefined : predicateType(payload);
  const verb = type === undefined ? ["verify-blob"] : ["verify-blob-attestation", "--type", type];
  const args = [...verb, ...who, "--trusted-root", at("root.json"), "--bundle", at("bundle"), at("artifact")];
  const judged = (bundle: Uint8Array): string | undefined => {
    writeFileSync(at("bundle"), bundle);
    const env = { HOME: folder, HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" };
    // Demanded of a bundle that has one; without, the log's time counts, for cosign as for ours.
    const stamped = Buffer.from(bundle).includes("signedTimestamp") ? ["--use-signed-timestamps"] : [];
    const { status, stderr } = spawnSync(program.path, [...args, ...stamped], {
      encoding: "utf8",
      timeout: 60_000,
      env,
    });
    return status === 0 ? undefined : (stderr.split("\n")[0] ?? "");
  };
  const refusal = judged(one.bundle);
  if (refusal === undefined) return judged;
  add(`cosign refuses an original: ${refusal.slice(0, 100)}`);
  return undefined;
}

function predicateType(payload: string): string {
  const { predicateType: type } = JSON.parse(Buffer.from(payload, "base64").toString()) as { predicateType: string };
  return type;
}

function withoutKeyId(bytes: Uint8Array): Uint8Array {
  const bundle = JSON.parse(Buffer.from(bytes).toString()) as { dsseEnvelope?: { signatures?: { keyid?: string }[] } };
  for (const signature of bundle.dsseEnvelope?.signatures ?? []) delete signature.keyid;
  return new TextEncoder().encode(JSON.stringify(bundle));
}

function judgeByCosign(number: number, sample: Sample, bytes: Uint8Array, accepted: boolean): void {
  if (sample.cosign === undefined) return;
  run++;
  const refusal = sample.cosign(bytes);
  if (run % 50 === 0) console.error(`cosign: ${run} judged, ${defects} defects`);
  if (!accepted || refusal === undefined) {
    add(`cosign: ${accepted ? "both accept" : refusal === undefined ? "ours is stricter" : "both refuse"}`);
    return;
  }
  // cosign refuses any keyid of a signature, which is a hint that nobody signed; ours passes it over.
  const hinted = sample.cosign(withoutKeyId(bytes)) === undefined;
  if (!hinted) keep(number, bytes, `cosign: ${refusal}`);
  add(`cosign: ours accepts, cosign ${hinted ? "refuses its keyid only" : "REFUSES"}: ${refusal.slice(0, 120)}`);
}

function judge(number: number): void {
  const random = generator(seed * 0x9e3779b1 + number);
  const sample = pick(samples, random);
  const copy = structuredClone(sample.json);
  for (let changes = random() < 0.7 ? 1 : 2; changes > 0; changes--) mutate(copy, pick(samples, random).json, random);
  const text = JSON.stringify(copy);
  const bytes = new TextEncoder().encode(random() < 0.05 ? mangled(text, random) : text);
  const decision = sample.ours(bytes);
  if (asked > 0 && (number - from) % Math.max(1, Math.floor(count / asked)) === 0) {
    judgeByCosign(number, sample, bytes, decision.ok);
  }
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
  const kept = join(tmpdir(), "bitforbit-differential");
  mkdirSync(kept, { recursive: true });
  const path = join(kept, `${seed}-${number}.json`);
  writeFileSync(path, bytes);
  console.error(`input ${number}: ours accepts, another refuses: ${refusal}\n  kept as ${path}`);
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
