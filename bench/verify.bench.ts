import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";
import { trustedRoot } from "../src/attest/trusted-root.ts";
import { parsePublicKey } from "../src/keys/verifier.ts";
import { verify } from "../src/policy/verify.ts";
import { policyToml } from "../src/policy/policy.ts";
import {
  ARTIFACT as TOOL,
  Authority,
  bytesOf,
  DIGEST as TOOL_DIGEST,
  ecPair,
  IDENTITY,
  ISSUER,
  type Twist,
} from "../test/authority.ts";
import { cosign } from "../test/cosign.ts";
import { ARTIFACT, type Home, makeHome, removeHome } from "../test/evidence.ts";
import { ours as ourVerifier, sigstoreJs } from "../test/sigstore-oracle.ts";
import { type Command, medians, paired, time } from "./paired.ts";
import type { Row } from "./run.ts";

/** Whole processes and one thread; keyed, and keyless with a timestamp. cosign and @sigstore/verify check one bundle, we check three and the policy. */
export async function bench(): Promise<Row[]> {
  const home = await makeHome();
  try {
    return [wholeProcess(home), oneThread(home), ...keyless()];
  } finally {
    removeHome(home);
  }
}

function wholeProcess(home: Home): Row {
  const at = (name: string): string => join(home.folder, name);
  writeFileSync(at("hello"), ARTIFACT);
  for (const [index, bundle] of home.bundles.entries()) writeFileSync(at(`${index}.sigstore.json`), bundle);
  copyFileSync(join(home.folder, "keys", "artifact.pub"), at("key.pub"));
  writeFileSync(at("root.json"), trustedRoot([home.log.identity]));
  const keys = [{ name: "builder", publicKeyPem: home.keys.artifact.publicKeyPem }];
  const logs = [{ origin: home.log.identity.origin, publicKeyPem: home.log.identity.publicKeyPem }];
  writeFileSync(at("policy.toml"), policyToml(home.request.policy, { keys, logs }));
  // No network is needed, and none is found: any connection is refused.
  const env = { HOME: home.folder, HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" };
  const ours: Command = [process.execPath, "dist/bitforbit.cjs", "verify", "--policy", at("policy.toml"), at("hello")];
  const row = { what: "verify, whole process", unit: "ms", goal: "at most 0.8" };
  const program = cosign();
  if ("skip" in program) {
    const times = Array.from({ length: 15 }, () => ({ a: time(ours, { env }), b: 1 }));
    return { ...row, ours: medians(times).a, peer: undefined, peerName: program.skip, met: false };
  }
  const args = ["--key", at("key.pub"), "--bundle", at("0.sigstore.json"), "--trusted-root", at("root.json")];
  const theirs: Command = [program.path, "verify-blob-attestation", ...args, "--type", "slsaprovenance1", at("hello")];
  const { a, b, ratio } = paired(ours, theirs, 25, { env });
  return { ...row, ours: a, peer: b, peerName: "cosign", met: ratio <= 0.8 };
}

const ROUNDS = 9;
const EACH = 200;

function oneThread({ bundles, request, log, keys }: Home): Row {
  const key = parsePublicKey(keys.artifact.publicKeyPem);
  const root = TrustedRoot.fromJSON(JSON.parse(trustedRoot([log.identity])));
  const trust = toTrustMaterial(root, {
    [key.keyId]: { rawBytes: Buffer.from(key.spki), keyDetails: 5, validFor: { start: new Date(0) } },
  });
  const verifier = new Verifier(trust, { tlogThreshold: 1, timestampThreshold: 0, ctlogThreshold: 0 });
  const rate = (work: (bundle: Uint8Array) => void): number => {
    const start = process.hrtime.bigint();
    for (let round = 0; round < EACH; round++) for (const bundle of bundles) work(bundle);
    return (EACH * bundles.length) / (Number(process.hrtime.bigint() - start) / 1e9);
  };
  const policy = { ...request.policy, requireSbom: false, requireReproduced: false };
  const ours = (bundle: Uint8Array): void => void verify({ ...request, policy, bundles: [bundle] });
  const theirs = (bundle: Uint8Array): void =>
    void verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(Buffer.from(bundle).toString()))));
  const rates = Array.from({ length: ROUNDS }, () => ({ a: rate(ours), b: rate(theirs) }));
  const { a, b, ratio } = medians(rates);
  const row = { what: "verify a bundle, one thread", unit: "/s", goal: "at least 1.5" };
  return { ...row, ours: a, peer: b, peerName: "@sigstore/verify", met: ratio >= 1.5 };
}

const KEYLESS = 40;

const accepted = (bundles: readonly Uint8Array[], accepts: (bundle: Uint8Array) => boolean): number => {
  const start = process.hrtime.bigint();
  for (const bundle of bundles) if (!accepts(bundle)) throw new Error("a good bundle was refused");
  return bundles.length / (Number(process.hrtime.bigint() - start) / 1e9);
};

/**
 * Keyless bundles with a timestamp, of a Sigstore of our own with P-384
 * authorities as the public one has: verified again by whoever has met them,
 * as a gate does; then new ones by one certificate, as of a release of many
 * files; then each by a certificate that no cache knows.
 * Both verify the same bundles and must agree.
 */
function keyless(): Row[] {
  const authority = new Authority();
  const one = {
    artifact: TOOL,
    trustedRoot: authority.trustedRoot(),
    identity: IDENTITY,
    issuer: ISSUER,
    key: undefined,
  };
  const [ours, theirs] = [ourVerifier(one), sigstoreJs(one)];
  const same = Array.from({ length: KEYLESS }, () => bytesOf(authority.bundle(TOOL_DIGEST)));
  const rates = (make: () => readonly Uint8Array[]): { a: number; b: number; ratio: number } =>
    medians(
      Array.from({ length: 5 }, () => {
        const bundles = make();
        return { a: accepted(bundles, (b) => ours(b).ok), b: accepted(bundles, (b) => theirs(b) === undefined) };
      }),
    );
  const warm = rates(() => same);
  const signer = ecPair();
  const certificate = authority.leaf(signer.spki);
  const many = (twist: Twist) => Array.from({ length: KEYLESS }, () => bytesOf(authority.bundle(TOOL_DIGEST, twist)));
  const release = rates(() => many({ signer, certificate }));
  const cold = rates(() => many({}));
  const row = { unit: "/s", peerName: "@sigstore/verify" };
  return [
    {
      ...row,
      what: "keyless with TSA, verified again",
      ours: warm.a,
      peer: warm.b,
      goal: "at least 10",
      met: warm.ratio >= 10,
    },
    {
      ...row,
      what: "keyless with TSA, one certificate for many",
      ours: release.a,
      peer: release.b,
      goal: "no goal",
      met: true,
    },
    { ...row, what: "keyless with TSA, every certificate new", ours: cold.a, peer: cold.b, goal: "no goal", met: true },
  ];
}
