/**
 * Five published projects, fetched by digest with their ecosystems' own
 * clients, built in two worlds and attested; each bundle under cosign and
 * @sigstore/verify.
 */
import { strict as assert } from "node:assert";
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { cpSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import test from "node:test";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";
import { parsePublicKey } from "../src/keys/verifier.ts";
import { bitforbit, scratchFolder } from "./command.ts";
import { cosign } from "./cosign.ts";

interface Document {
  verdict: string;
  causes: { name: string }[];
  notCovered: { what: string }[];
  artifacts: { file: string; digest: string }[];
  attestations: { predicateType: string; file: string }[];
}

const EXAMPLES = ["hello-debian", "noble-hashes-npm", "tomli-python", "hexyl-rust", "age-go"];

/** What cosign calls our predicates. */
const COSIGN_TYPES: Readonly<Record<string, string>> = {
  "https://slsa.dev/provenance/v1": "slsaprovenance1",
  "https://cyclonedx.org/bom": "cyclonedx",
};

for (const example of EXAMPLES) {
  test(`${example}: reproduces in two worlds, and other verifiers accept its evidence`, async (t) => {
    const folder = join(scratchFolder(t), example);
    cpSync(resolve(import.meta.dirname, "../examples", example), folder, {
      recursive: true,
      filter: (path) => !/[/\\](?:dist|\.bitforbit)$/.test(path),
    });
    const built = await bitforbit(folder, ["build", "--json"]);
    assert.equal(built.code, 0, built.stderr + built.stdout.slice(0, 4000));
    const document = JSON.parse(built.stdout) as Document;
    assert.deepEqual([document.verdict, document.causes], ["reproducible", []]);
    const [artifact] = document.artifacts;
    assert.ok(artifact !== undefined && document.attestations.length === 3);
    assert.equal((await bitforbit(folder, ["verify", artifact.file])).code, 0);

    const key = join(folder, "key.pub");
    const root = join(folder, "trusted_root.json");
    assert.equal((await bitforbit(folder, ["keys", "export", "-o", key])).code, 0);
    assert.equal((await bitforbit(folder, ["keys", "trusted-root", "-o", root])).code, 0);
    for (const { file } of document.attestations) sigstoreVerifies(readFileSync(file, "utf8"), key, root);
    await t.test("cosign", (inner) => {
      const tool = cosign();
      if ("skip" in tool) return inner.skip(tool.skip);
      for (const { predicateType, file } of document.attestations) {
        const type = COSIGN_TYPES[predicateType] ?? predicateType;
        const args = [
          "verify-blob-attestation",
          "--key",
          key,
          "--bundle",
          file,
          "--type",
          type,
          "--trusted-root",
          root,
        ];
        const ran: SpawnSyncReturns<string> = spawnSync(tool.path, [...args, artifact.file], {
          encoding: "utf8",
          timeout: 60_000,
        });
        assert.equal(ran.status, 0, `${type}: ${ran.stderr}`);
      }
      return undefined;
    });
  });
}

test("what is built from @noble/hashes is what its author published, inside its compression", async (t) => {
  const folder = join(scratchFolder(t), "noble");
  cpSync(resolve(import.meta.dirname, "../examples/noble-hashes-npm"), folder, { recursive: true });
  const published = /sha256 = "([0-9a-f]{64})"/.exec(readFileSync(join(folder, "bitforbit.toml"), "utf8"))?.[1];
  const built = await bitforbit(folder, ["build", "--once", "--json"]);
  assert.equal(built.code, 0, built.stderr);
  const [artifact] = (JSON.parse(built.stdout) as Document).artifacts;
  const source = join(folder, ".bitforbit/cache/sources/sha256", published ?? "", "noble-hashes-1.4.0.tgz");
  // npm compresses with its own Node's zlib, and Debian's Node has Debian's.
  assert.deepEqual(gunzipSync(readFileSync(artifact?.file ?? "")), gunzipSync(readFileSync(source)));
});

function sigstoreVerifies(bundle: string, keyFile: string, rootFile: string): void {
  const key = parsePublicKey(readFileSync(keyFile, "utf8"));
  const root = TrustedRoot.fromJSON(JSON.parse(readFileSync(rootFile, "utf8")));
  const material = toTrustMaterial(root, {
    [key.keyId]: { rawBytes: Buffer.from(key.spki), keyDetails: 5, validFor: { start: new Date(0) } },
  });
  const verifier = new Verifier(material, { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 0 });
  assert.doesNotThrow(() => verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(bundle)))));
}
