/** An evidence file says what its bundles say, and nothing else: whatever is changed in it, no more is allowed. */
import { strict as assert } from "node:assert";
import test from "node:test";
import { crc32, deflateRawSync, gunzipSync, inflateRawSync } from "node:zlib";
import * as fc from "fast-check";
import { readEvidence } from "../attest/evidence.ts";
import { packEvidence, type PackedEvidence } from "../attest/pack-evidence.ts";
import { provenance, sbomStatement, type Statement } from "../attest/statement.ts";
import { base64, concat, utf8 } from "../bytes.ts";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { openLogReader } from "../log/reader.ts";
import { DIGEST, type Home, makeHome, removeHome, statementsAbout } from "../../test/evidence.ts";
import type { Decision } from "./decision.ts";
import { verifyEvidence, type DocumentChecker } from "./evidence.ts";
import { verify } from "./verify.ts";

const home = await makeHome();
const stranger = await makeHome(3);
test.after(() => {
  removeHome(home);
  removeHome(stranger);
});

const SBOM: JsonObject = {
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  components: Array.from({ length: 300 }, (_, at) => ({ type: "library", name: `component ${at}`, version: `${at}` })),
};
const subjects = [{ name: "hello", digest: DIGEST }];
const [small, , reproduced] = statementsAbout(DIGEST);
const materials = Array.from({ length: 100 }, (_, at) => ({
  kind: "environment" as const,
  name: `package ${at}`,
  checksums: { sha256: digestOf(`${at}`).slice(7) },
}));
const built = provenance({
  subjects,
  source: { uri: "git+https://example.org/hello.git", digest: { gitCommit: "0".repeat(40) } },
  externalParameters: {},
  internalParameters: {},
  canonical: true,
  materials,
  builder: { id: home.request.policy.builders[0] ?? "", version: "1" },
  invocationId: "build-2",
  startedOn: 0,
  finishedOn: 1,
});
const statements: Statement[] = [built, sbomStatement(subjects, SBOM), reproduced, small];
const bundles = await home.sign(statements);

const pack = async (options: { from?: Uint8Array[]; sbomLimit?: number; home?: Home } = {}): Promise<PackedEvidence> =>
  await packEvidence({
    artifact: { name: "hello", digest: DIGEST },
    bundles: options.from ?? bundles,
    documents: [{ type: "application/vnd.example.ring+json", text: '{"signed":"elsewhere"}' }],
    sbomLimit: options.sbomLimit ?? 1 << 20,
  });

const decide = (evidence: Uint8Array, bills: Uint8Array[] = []): Decision =>
  verifyEvidence({ ...home.request, evidence, bills }).decision;

test("the bundles come back to the byte, and the decision is theirs", async () => {
  const { file, besides, bills } = await pack();
  assert.deepEqual(readEvidence(file).bundles, bundles);
  const { artifact, policy, trust, now } = home.request;
  assert.deepEqual(decide(file), verify({ artifact, bundles, policy, trust, now }));
  assert.ok(decide(file).ok);
  assert.deepEqual(
    bills.map(({ role, included }) => [role, included]),
    [
      ["materials", true],
      ["sbom", true],
    ],
  );
  assert.ok(besides < 16 << 10 && besides < file.length);
  // Anybody can read it: one line of evidence, then a line for each bill.
  const lines = gunzipSync(file).toString().split("\n");
  assert.deepEqual([JSON.parse(lines[2] ?? ""), lines.length], [SBOM, 4]);
});

test("proofs made anew for the log's present tree need one checkpoint, and hold", async () => {
  await home.sign([small]);
  const log = await openLogReader(`${home.folder}/log`, home.keys.checkpoint.publicKeyPem);
  const { file } = await packEvidence({
    artifact: { name: "hello", digest: DIGEST },
    bundles: [...home.bundles, ...bundles],
    documents: [],
    sbomLimit: 1 << 20,
    prove: async (_, index) => await log.prove(index),
  });
  assert.equal((documentOf(file)["checkpoints"] as unknown[]).length, 1);
  assert.ok(decide(file).ok);
});

test("an SBOM over the limit stays outside, by its digest; it counts when it is handed in, and no other does", async () => {
  const { file } = await pack({ from: bundles.slice(0, 3), sbomLimit: 100 });
  const bytes = utf8(`${JSON.stringify(SBOM)}\n`);
  const without = verifyEvidence({ ...home.request, evidence: file });
  assert.deepEqual(without.missing, [
    { role: "sbom", digest: digestOf(bytes.subarray(0, -1)), size: bytes.length - 1 },
  ]);
  assert.deepEqual(without.decision.reasons.at(-1)?.check, "sbom");
  assert.equal(decide(file, [utf8(JSON.stringify({ ...SBOM, version: 2 }))]).ok, false);
  assert.ok(decide(file, [bytes]).ok);
});

const refuse: DocumentChecker = () => {
  throw new BitforbitError("refused", "the ring is stale");
};

test("documents of others are checked by whoever can, and named where nobody can", async () => {
  const { file } = await pack();
  const type = "application/vnd.example.ring+json";
  const seen: string[] = [];
  const checker: DocumentChecker = ({ text }) => seen.push(text) > 0;
  const { checked, unchecked } = verifyEvidence({
    ...home.request,
    evidence: file,
    checkers: new Map([[type, checker]]),
  });
  assert.deepEqual([checked, unchecked, seen], [[type], [], ['{"signed":"elsewhere"}']]);
  assert.deepEqual(verifyEvidence({ ...home.request, evidence: file }).unchecked, [type]);
  const unable = verifyEvidence({ ...home.request, evidence: file, checkers: new Map([[type, () => false]]) });
  assert.deepEqual([unable.checked, unable.unchecked], [[], [type]]);
  const request = { ...home.request, evidence: file, checkers: new Map([[type, refuse]]) };
  assert.throws(() => verifyEvidence(request), /the ring is stale/);
});

test("bundles that are made otherwise go in whole; one signed by a stranger does not count", async () => {
  const spaced = utf8(JSON.stringify(JSON.parse(Buffer.from(bundles[0] ?? new Uint8Array()).toString()), null, 1));
  const foreign = await stranger.sign([built]);
  const { file } = await pack({ from: [spaced, ...bundles.slice(1, 3), ...foreign] });
  assert.deepEqual((documentOf(file)["bundles"] as unknown[]).length, 1);
  assert.ok(decide(file).ok);
  assert.equal(decide((await pack({ from: [...foreign, ...bundles.slice(1, 3)] })).file).ok, false);
});

/** The first member's document. */
function documentOf(file: Uint8Array): JsonObject {
  return JSON.parse(Buffer.from(inflateRawSync(file.subarray(10))).toString()) as JsonObject;
}

const member = (content: Uint8Array): Uint8Array => {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.length, 4);
  return concat([Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3), deflateRawSync(content), trailer]);
};

/** The file with another first member, and the same bills. */
async function changed(change: (document: JsonObject) => void): Promise<Uint8Array> {
  const { file, besides } = await pack({ from: bundles.slice(0, 3) });
  const document = documentOf(file);
  change(document);
  return concat([member(utf8(`${JSON.stringify(document)}\n`)), file.subarray(besides)]);
}

type Packed = {
  payload: (string | number)[];
  key: number;
  signature: string;
  index: number;
  hashes: string[];
  checkpoint: number;
};
const statementAt = (document: JsonObject, at: number): Packed =>
  (document["statements"] as unknown as Packed[])[at] ?? assert.fail();

const DENIED: Record<string, [(document: JsonObject) => void, RegExp]> = {
  "the signature of another statement": [
    (document) => void (statementAt(document, 0).signature = statementAt(document, 1).signature),
    /no SLSA provenance/,
  ],
  "a word of the payload": [
    (document) => {
      const [first = ""] = statementAt(document, 2).payload;
      statementAt(document, 2).payload = [String(first).replace('"partial"', '"full"')];
    },
    /no account of a build in two worlds/,
  ],
  "another index": [(document) => void (statementAt(document, 0).index += 1), /no SLSA provenance/],
  "a proof without its last hash": [(document) => void statementAt(document, 0).hashes.pop(), /no SLSA provenance/],
  "the stranger's key": [
    (document) => {
      document["keys"] = [stranger.keys.artifact.publicKeyPem.replaceAll(/-----.*?-----|\n/g, "")];
    },
    /not trusted/,
  ],
  "a log that is not trusted": [
    (document) =>
      void Object.assign((document["checkpoints"] as JsonObject[])[0] ?? {}, {
        log: base64(stranger.log.identity.keyHash),
      }),
    /a log that is not trusted/,
  ],
  "no statements": [(document) => void (document["statements"] = []), /no bundle/],
  "a bill swapped for another": [(document) => void (statementAt(document, 1).payload[1] = 0), /no CycloneDX SBOM/],
};

for (const [name, [change, reason]] of Object.entries(DENIED)) {
  test(`denied: ${name}`, async () => {
    const decision = decide(await changed(change));
    assert.equal(decision.ok, false);
    const messages = [...decision.reasons, ...decision.setAside].map(({ message }) => message);
    assert.ok(
      messages.some((message) => reason.test(message)),
      messages.join("; "),
    );
  });
}

test("a file that is not as it must be is refused by name", async () => {
  const { file, besides } = await pack();
  const first = file.subarray(0, besides);
  const text = Buffer.from(inflateRawSync(file.subarray(10))).toString();
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(), /not plain gzip/],
    [concat([file, Uint8Array.of(0)]), /bytes follow the evidence/],
    [concat([file, file]), /bytes follow the evidence/],
    [file.subarray(0, -1), /stated checksum|does not inflate/],
    [concat([Uint8Array.of(0x1f, 0x8b, 8, 8), file.subarray(4)]), /not plain gzip/],
    [concat([first, member(utf8("a bill of nobody\n"))]), /that nothing names/],
    [concat([first, member(utf8("no end"))]), /has no end/],
    [member(utf8("{}\n{}\n")), /not one line/],
    [member(utf8("{}")), /not one line/],
    [member(utf8(text.replace('"keys":', '"keys":[],"keys":'))), /duplicate key/],
    [member(utf8(text.replace('"keys":', '"more":1,"keys":'))), /"more" is missing or unknown/],
    [member(utf8(text.replace("evidence.v1", "evidence.v2"))), /mediaType is/],
    [member(Buffer.alloc(2 << 20, 0x20)), /does not inflate to at most/],
    [
      member(utf8(`${JSON.stringify({ noise: Array.from({ length: 2000 }, (_, at) => digestOf(`${at}`)) })}\n`)),
      /over 16384/,
    ],
    [await changed((document) => void (statementAt(document, 0).key = 9)), /key is 9, where nothing is/],
    [await changed((document) => void (statementAt(document, 0).index = -1)), /not a whole number/],
    [await changed((document) => void (statementAt(document, 0).signature = "AA")), /base64/],
    [await changed((document) => void (document["statements"] = Array.from({ length: 65 }, () => 1))), /at most 64/],
  ];
  for (const [bytes, message] of cases) assert.throws(() => readEvidence(bytes), { name: "BitforbitError", message });
  await assert.rejects(
    packEvidence({
      artifact: { name: "x", digest: DIGEST },
      bundles: [],
      documents: [{ type: "x", text: Array.from({ length: 2000 }, (_, at) => digestOf(`${at}`)).join() }],
      sbomLimit: 0,
    }),
    /besides its bills, over 16384/,
  );
});

test("any byte changed: refused, or nothing new is allowed", async () => {
  const { file } = await pack({ from: bundles.slice(0, 3) });
  const honest = decide(file);
  fc.assert(
    fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const copy = Uint8Array.from(file);
      copy[at] = (copy[at] ?? 0) ^ bits;
      try {
        const decision = decide(copy);
        if (decision.ok) assert.deepEqual(decision, honest);
      } catch (error) {
        assert.ok(error instanceof BitforbitError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});
