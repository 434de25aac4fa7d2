/** Our bundles under the verifiers that others use: cosign's own program, and @sigstore/verify. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { Verifier, toSignedEntity, toTrustMaterial } from "@sigstore/verify";
import { trustedRoot } from "../src/attest/trusted-root.ts";
import { base64, utf8 } from "../src/bytes.ts";
import { parsePublicKey } from "../src/keys/verifier.ts";
import { verify } from "../src/policy/verify.ts";
import { cosign } from "./cosign.ts";
import { ARTIFACT, type Home, makeHome, removeHome } from "./evidence.ts";

/** What cosign calls our three predicates. */
const TYPES = ["slsaprovenance1", "cyclonedx", "https://bitforbit.dev/reproduction/v1"];

const home = await makeHome();
const other = await makeHome(7);
test.after(() => {
  removeHome(home);
  removeHome(other);
});

type Bundle = {
  verificationMaterial: {
    publicKey: { hint: string };
    tlogEntries: {
      logIndex: string;
      inclusionProof: { logIndex: string; hashes: string[]; rootHash: string; checkpoint: { envelope: string } };
      canonicalizedBody: string;
    }[];
  };
  dsseEnvelope: { payload: string; signatures: { sig: string }[] };
};

function flipped(text: string): string {
  const bytes = Buffer.from(text, "base64");
  bytes[5] = (bytes[5] ?? 0) ^ 1;
  return bytes.toString("base64");
}

const REBUILT = "an entry about another signature";

/** Ways to tamper with the part of a bundle that proves inclusion, and with what is signed. */
const TAMPERED: Record<string, (bundle: Bundle, foreign: Bundle) => void> = {
  "a hash of the inclusion proof": ({ verificationMaterial: { tlogEntries } }) => {
    const proof = tlogEntries[0]?.inclusionProof ?? assert.fail();
    proof.hashes[0] = flipped(proof.hashes[0] ?? "");
  },
  "a proof that lacks its last hash": ({ verificationMaterial: { tlogEntries } }) => {
    tlogEntries[0]?.inclusionProof.hashes.pop();
  },
  "another index": ({ verificationMaterial: { tlogEntries } }) => {
    const [entry] = tlogEntries;
    if (entry !== undefined) entry.logIndex = entry.inclusionProof.logIndex = "3";
  },
  "a checkpoint of another size": ({ verificationMaterial: { tlogEntries } }) => {
    const checkpoint = tlogEntries[0]?.inclusionProof.checkpoint ?? assert.fail();
    checkpoint.envelope = checkpoint.envelope.replace("\n303\n", "\n302\n");
  },
  [REBUILT]: ({ verificationMaterial: { tlogEntries } }, foreign) => {
    const [entry] = tlogEntries;
    const [stranger] = foreign.verificationMaterial.tlogEntries;
    if (entry !== undefined && stranger !== undefined) entry.canonicalizedBody = stranger.canonicalizedBody;
  },
  "a log that is not trusted": (bundle, foreign) => {
    bundle.verificationMaterial.tlogEntries = foreign.verificationMaterial.tlogEntries;
  },
  "no log entry": ({ verificationMaterial }) => {
    verificationMaterial.tlogEntries = [];
  },
  "the payload": ({ dsseEnvelope }) => {
    dsseEnvelope.payload = base64(
      utf8(Buffer.from(dsseEnvelope.payload, "base64").toString().replace("hello", "jello")),
    );
  },
  "the signature": ({ dsseEnvelope }) => {
    const [signature] = dsseEnvelope.signatures;
    if (signature !== undefined) signature.sig = flipped(signature.sig);
  },
};

const json = (bytes: Uint8Array | undefined): Bundle =>
  JSON.parse(Buffer.from(bytes ?? assert.fail()).toString()) as Bundle;

function tampered(name: string): Uint8Array {
  const bundle = json(home.bundles[0]);
  TAMPERED[name]?.(bundle, json(other.bundles[0]));
  const bytes = utf8(JSON.stringify(bundle));
  assert.notDeepEqual(bytes, home.bundles[0]);
  return bytes;
}

function sigstoreVerifier({ log, keys }: Home): (bundle: Uint8Array) => void {
  const key = parsePublicKey(keys.artifact.publicKeyPem);
  const root = TrustedRoot.fromJSON(JSON.parse(trustedRoot([log.identity])));
  const material = toTrustMaterial(root, {
    [key.keyId]: { rawBytes: Buffer.from(key.spki), keyDetails: 5, validFor: { start: new Date(0) } },
  });
  const verifier = new Verifier(material, { tlogThreshold: 1, timestampThreshold: 0, ctlogThreshold: 0 });
  return (bundle) => void verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(Buffer.from(bundle).toString()))));
}

test("@sigstore/verify accepts our three bundles, with their inclusion in the log", () => {
  const accept = sigstoreVerifier(home);
  for (const bundle of home.bundles) accept(bundle);
});

test("@sigstore/verify and ours both refuse every tampered bundle", () => {
  const accept = sigstoreVerifier(home);
  for (const name of Object.keys(TAMPERED)) {
    const bundle = tampered(name);
    assert.throws(() => accept(bundle), { name: /Error$/ }, `@sigstore/verify accepts ${name}`);
    const decision = verify({ ...home.request, bundles: [bundle, ...home.bundles.slice(1)] });
    assert.equal(decision.ok, false, `ours accepts ${name}`);
  }
});

function runCosign(
  program: string,
  bundle: Uint8Array,
  type: string,
  artifact: Uint8Array = ARTIFACT,
): { ok: boolean; said: string } {
  const at = (name: string): string => join(home.folder, name);
  writeFileSync(at("bundle.json"), bundle);
  writeFileSync(at("key.pub"), home.keys.artifact.publicKeyPem);
  writeFileSync(at("trusted_root.json"), trustedRoot([home.log.identity]));
  writeFileSync(at("artifact"), artifact);
  const run = spawnSync(
    program,
    [
      "verify-blob-attestation",
      "--key",
      at("key.pub"),
      "--bundle",
      at("bundle.json"),
      "--type",
      type,
      "--trusted-root",
      at("trusted_root.json"),
      at("artifact"),
    ],
    // No network is needed, and none is found: any connection is refused.
    {
      encoding: "utf8",
      timeout: 60_000,
      env: { HOME: home.folder, HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" },
    },
  );
  return { ok: run.status === 0, said: run.stderr };
}

test("the real cosign accepts our three bundles, offline, and refuses each when tampered with", (context) => {
  const program = cosign();
  if ("skip" in program) return context.skip(program.skip);
  for (const [at, type] of TYPES.entries()) {
    const { ok, said } = runCosign(program.path, home.bundles[at] ?? assert.fail(), type);
    assert.ok(ok, `${type}: ${said}`);
    assert.match(said, /Verified OK/);
  }
  const [bundle = new Uint8Array()] = home.bundles;
  assert.ok(!runCosign(program.path, bundle, "slsaprovenance1", utf8("another artifact")).ok);
  assert.ok(!runCosign(program.path, bundle, "cyclonedx").ok);
  // cosign never reads the body: it rebuilds the entry from signature and key, and proves that one's inclusion.
  for (const name of Object.keys(TAMPERED).filter((tamper) => tamper !== REBUILT)) {
    const { ok, said } = runCosign(program.path, tampered(name), "slsaprovenance1");
    assert.ok(!ok, `cosign accepts ${name}: ${said}`);
  }
});
