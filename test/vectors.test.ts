/** Published vectors, read in place: Merkle proofs, canonical JSON, Sigstore bundles. */
import { strict as assert } from "node:assert";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parseBundle } from "../src/attest/bundle.ts";
import { fromBase64, utf8 } from "../src/bytes.ts";
import { BitforbitError } from "../src/errors.ts";
import { noteVerifier } from "../src/format/note.ts";
import { type Json, canonicalJson, parseJson } from "../src/json.ts";
import { openCheckpoint } from "../src/log/checkpoint.ts";
import { verifyConsistency, verifyInclusion } from "../src/log/proof.ts";
import { leafHash } from "../src/log/tile.ts";
import { verify } from "../src/policy/verify.ts";
import { makeHome, removeHome } from "./evidence.ts";

const root = [process.env["BITFORBIT_VECTORS"], "../shared/vectors", "../../shared/vectors"]
  .filter((path) => path !== undefined)
  .find((path) => existsSync(join(path, "merkle")));
const skip = root === undefined ? "published vectors are not in ../shared" : false;
const vectors = root ?? "";

const read = (path: string): Buffer => readFileSync(join(vectors, path));
const list = (pattern: string): string[] => globSync(pattern, { cwd: vectors }).sort();
const bytes = (text: string | null): Uint8Array => fromBase64(text ?? "");

test("Merkle inclusion: valid and mutated probes", { skip }, () => {
  const files = list("merkle/inclusion/**/*.json");
  let good = 0;
  for (const file of files) {
    const probe = JSON.parse(read(file).toString()) as {
      leafIdx: number;
      treeSize: number;
      root: string;
      leafHash: string;
      proof: string[] | null;
      wantErr: boolean;
    };
    const { leafIdx, treeSize } = probe;
    const ok = verifyInclusion(
      leafIdx,
      treeSize,
      bytes(probe.leafHash),
      (probe.proof ?? []).map(bytes),
      bytes(probe.root),
    );
    assert.equal(ok, !probe.wantErr, file);
    if (ok) good++;
  }
  assert.ok(files.length > 50 && good > 3, `${files.length} probes, ${good} good`);
});

test("Merkle consistency: valid and mutated probes", { skip }, () => {
  const files = list("merkle/consistency/**/*.json");
  let good = 0;
  for (const file of files) {
    const probe = JSON.parse(read(file).toString()) as {
      size1: number;
      size2: number;
      root1: string;
      root2: string;
      proof: string[] | null;
      wantErr: boolean;
    };
    const proof = (probe.proof ?? []).map(bytes);
    const ok = verifyConsistency(probe.size1, probe.size2, bytes(probe.root1), bytes(probe.root2), proof);
    // In one probe that should pass the roots are 12 bytes, no hashes: ours wants 32.
    assert.equal(ok, !probe.wantErr && bytes(probe.root1).length === 32, file);
    if (ok) good++;
  }
  assert.ok(files.length > 50 && good >= 3, `${files.length} probes, ${good} good`);
});

test("canonical JSON (RFC 8785)", { skip }, () => {
  const files = list("jcs/input/*.json");
  for (const file of files) {
    const output = read(file.replace("/input/", "/output/"));
    assert.equal(Buffer.from(canonicalJson(parseJson(read(file), file))).toString(), output.toString().trimEnd(), file);
  }
  assert.ok(files.length >= 6);
});

type Entry = {
  logIndex: string;
  kindVersion: { version: string };
  inclusionProof?: { hashes: string[]; logIndex: string; checkpoint?: { envelope: string } };
  canonicalizedBody: string;
};
type TrustedRoot = { tlogs: { baseUrl: string; publicKey: { rawBytes: string; keyDetails: string } }[] };

/**
 * The log's part of a bundle, with our own log's code; bundles as wholes are in
 * vectors-sigstore.test.ts.
 */
function provenInLog(folder: string): boolean {
  const bundle = JSON.parse(read(`${folder}/bundle.sigstore.json`).toString()) as {
    verificationMaterial: { tlogEntries: Entry[] };
  };
  const { tlogs } = JSON.parse(read(`${folder}/trusted_root.json`).toString()) as TrustedRoot;
  const [entry] = bundle.verificationMaterial.tlogEntries;
  const note = entry?.inclusionProof?.checkpoint?.envelope;
  const proof = entry?.inclusionProof;
  if (note === undefined || proof === undefined || entry === undefined) return false;
  const log = tlogs.find(({ baseUrl }) => new URL(baseUrl).hostname === note.split("\n")[0]);
  if (log?.publicKey.keyDetails !== "PKIX_ED25519") return false;
  const pem = `-----BEGIN PUBLIC KEY-----\n${log.publicKey.rawBytes}\n-----END PUBLIC KEY-----\n`;
  try {
    const { size, root } = openCheckpoint(note, noteVerifier(new URL(log.baseUrl).hostname, pem));
    const leaf = leafHash(fromBase64(entry.canonicalizedBody));
    return verifyInclusion(Number(proof.logIndex), size, leaf, proof.hashes.map(bytes), root);
  } catch (error) {
    assert.ok(error instanceof BitforbitError, String(error));
    return false;
  }
}

test("Rekor v2's checkpoints and inclusion proofs, cosigned and damaged ones", { skip }, () => {
  const folders = list("sigstore-bundles/rekor2-*/trusted_root.json").map((file) => file.replace(/\/[^/]*$/, ""));
  const outcomes = Object.fromEntries(folders.map((folder) => [folder.split("/").at(-1) ?? "", provenInLog(folder)]));
  for (const [name, proven] of Object.entries(outcomes)) {
    const damagedInLog = /checkpoint.*_fail|no-inclusion-proof_fail/.test(name);
    // The other failing ones fail by their certificate, timestamp or signature, not in the log.
    assert.equal(proven, !damagedInLog, name);
  }
  assert.ok(Object.keys(outcomes).length >= 10);
});

test(
  "every published bundle that must fail is denied, and none that is not ours is taken for ours",
  { skip },
  async () => {
    const home = await makeHome(0);
    try {
      const files = list("sigstore-bundles/*/bundle.sigstore.json");
      const digest = `sha256:${"a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf"}`;
      for (const file of files) {
        const decision = verify({ ...home.request, artifact: { digest }, bundles: [new Uint8Array(read(file))] });
        assert.equal(decision.ok, false, file);
        assert.throws(() => parseBundle(new Uint8Array(read(file))), BitforbitError, file);
      }
      assert.ok(files.length >= 30);
      // The one keyed bundle is a messageSignature in a v1 log: no statement, so no evidence about a build.
      const keyed = parseJson(read("sigstore-bundles/managed-key-and-trusted-root/bundle.sigstore.json"), "bundle");
      const { mediaType } = keyed as Record<string, Json>;
      assert.equal(mediaType, "application/vnd.dev.sigstore.bundle.v0.3+json");
      assert.throws(() => parseBundle(utf8(JSON.stringify(keyed))), { message: /unknown field "messageSignature"/ });
    } finally {
      removeHome(home);
    }
  },
);
