/** Evidence held in memory, with a day's worth of builds in the shapes that the ledger records: for tests and for looking at the pages. */
import { base64, concat, hex, utf8 } from "../bytes.ts";
import { fixedClock } from "../clock.ts";
import { type Digest, digestOf, sha256 } from "../digest.ts";
import type { JsonObject } from "../json.ts";
import type { World } from "../world.ts";
import type {
  BuildRecord,
  ByteWindow,
  Evidence,
  FoundCause,
  Metric,
  Output,
  Promotion,
  Reason,
  StoryEvent,
} from "./evidence.ts";

export const NOW: number = Date.UTC(2026, 10, 23, 10, 20, 30);
const MINUTE = 60_000;

export interface MemoryEvidence extends Evidence {
  readonly builds: BuildRecord[];
  readonly events: Map<string, StoryEvent[]>;
  readonly bundles: Map<Digest, { digest: Digest; predicateType: string; bytes: Uint8Array }[]>;
  readonly promoted: Promotion[];
  readonly reported: unknown[];
  /** How often a decision was asked for. */
  asked: number;
}

export function memoryEvidence(builds: readonly BuildRecord[] = sampleBuilds()): MemoryEvidence {
  const events = new Map(builds.map((build) => [build.id, storyEvents(build)]));
  const bundles = new Map(builds.filter(isAttested).flatMap((build) => build.outputs.map(bundlesOf)));
  const promoted: Promotion[] = builds.filter(isAttested).map((build) => ({
    at: build.at + 9 * MINUTE,
    artifact: build.outputs[0]?.digest ?? digestOf(""),
    environment: "staging",
    project: build.project,
    ok: true,
    by: "release@example.org",
  }));
  const byNewest = [...builds].sort((a, b) => b.at - a.at);
  const made = (digest: Digest) => byNewest.filter((build) => build.outputs.some((one) => one.digest === digest));
  const tiles = tilesOf(LEAVES);
  const evidence: MemoryEvidence = {
    builds: byNewest,
    events,
    bundles,
    promoted,
    reported: [],
    asked: 0,
    clock: fixedClock(NOW),
    version: "0.1.0",
    report: (error) => void evidence.reported.push(error),
    ledger: {
      builds: async (limit, before) => {
        const start = before === undefined ? 0 : byNewest.findIndex(({ id }) => id === before) + 1;
        return byNewest.slice(start, start + limit);
      },
      build: async (id) => {
        const build = byNewest.find((one) => one.id === id);
        return build && { build, events: events.get(id) ?? [] };
      },
      artifact: async (digest) => {
        const found = made(digest);
        if (found.length === 0) return undefined;
        const after = found.flatMap((build) => events.get(build.id) ?? []).filter((event) => event.artifact === digest);
        return { builds: found, events: after.filter((event) => ["verify", "promote"].includes(event.kind)) };
      },
      promotions: async (limit) => promoted.slice(0, limit),
    },
    store: {
      artifact: async (digest) => {
        const output = made(digest)
          .filter(isAttested)
          .flatMap((build) => build.outputs)
          .find((one) => one.digest === digest);
        if (output === undefined) return undefined;
        const manifest = digestOf(`manifest of ${digest}`);
        return { digest, name: output.path, size: output.size, mediaType: "application/octet-stream", manifest };
      },
      referrers: async (digest) =>
        (bundles.get(digest) ?? []).map((one) => ({
          digest: one.digest,
          predicateType: one.predicateType,
          bundle: async () => one.bytes,
        })),
    },
    log: { checkpoint: async () => checkpointOf(LEAVES), tile: async (path) => tiles.get(path) },
    metrics: async () => METRICS,
    metricsText: async () =>
      "# HELP bitforbit_builds_total Builds by verdict.\n# TYPE bitforbit_builds_total counter\n" +
      'bitforbit_builds_total{verdict="reproducible"} 2\n',
    verify: async (digest) => {
      evidence.asked++;
      const attested = bundles.has(digest);
      return { ok: attested, reasons: attested ? ALLOWED : DENIED };
    },
  };
  return evidence;
}

const isAttested = (build: BuildRecord): boolean => build.canonical && build.verdict === "reproducible";

const ALLOWED: readonly Reason[] = [
  { check: "digest", ok: true, message: "the bytes have the digest that was asked for" },
  { check: "signature", ok: true, message: "signed by a trusted key, SHA256:pX3v…w0 (ecdsa-p256)" },
  { check: "subject", ok: true, message: "the statement's subject is this artifact" },
  {
    check: "inclusion",
    ok: true,
    message: "entry 3 of the log bitforbit.example.org, proven to its checkpoint of size 5",
  },
  { check: "builder", ok: true, message: "builder id is allowed by the policy" },
  { check: "source", ok: true, message: "source repository and tag are allowed by the policy" },
  { check: "sbom", ok: true, message: "a CycloneDX SBOM with 42 components is attested" },
  { check: "reproduced", ok: true, message: "two builds in different worlds gave these bytes" },
];

const DENIED: readonly Reason[] = [
  { check: "digest", ok: true, message: "the bytes have the digest that was asked for" },
  {
    check: "signature",
    ok: false,
    message: "no attestation by a trusted key refers to it",
    hint: "build it from a clean, tagged commit with 'bitforbit build', which attests what reproduces",
  },
  { check: "reproduced", ok: false, message: "no verdict says that two worlds gave these bytes" },
];

const metric = (id: string, name: string, target: string, unit: string, samples: number, value?: number): Metric => ({
  id,
  name,
  unit,
  target,
  samples,
  note: value === undefined ? "nothing recorded yet" : `from ${samples} events of the last 30 days`,
  ...(value === undefined ? {} : { value, meets: id !== "M1" && id !== "M8" }),
});

const METRICS: readonly Metric[] = [
  metric("M1", "Build reproducibility rate", "≥ 95 %", "ratio", 6, 0.6666),
  metric("M2", "Attestation verification rate", "≥ 99 %", "ratio", 128, 0.9999),
  metric("M3", "Artifact promotion failures", "< 1 %", "ratio", 4, 0),
  metric("M4", "Build-to-deploy time", "< 30 min", "milliseconds", 0),
  metric("M5", "SBOM completeness", "≥ 95 %", "ratio", 2, 1),
  metric("M6", "Binary-diff alerts", "0", "count", 2, 0),
  metric("M7", "Verification latency", "< 2 min", "milliseconds", 128, 61),
  metric("M8", "Build flakiness rate", "< 2 %", "ratio", 6, 0.1667),
  metric("M9", "Key rotation compliance", "100 %", "ratio", 2, 1),
  metric("M10", "Provenance coverage", "100 %", "ratio", 0),
];

const commit = (text: string): string => hex(sha256(text)).slice(0, 40);
const output = (path: string, size: number): Output => ({ path, digest: digestOf(path), size });
/** Bytes in which `differing` stands at what differs. */
const window = (offset: number, text: string, differing: string): ByteWindow => ({
  offset,
  hex: hex(utf8(text)),
  marks: [{ offset: offset + text.indexOf(differing), length: differing.length }],
});
const HOST_LACK = {
  what: "the environment is the host's own, not pinned",
  remedy: "the verdict holds for this machine's toolchain",
};

function sampleBuilds(): BuildRecord[] {
  const build = (minutes: number, project: string, rest: Partial<BuildRecord>): BuildRecord => ({
    id: `b-20261123-${String(9000 - minutes)}-${project.replace(/[^a-z0-9]/g, "")}`,
    at: NOW - minutes * MINUTE,
    milliseconds: 21_400,
    project,
    source: {
      uri: `https://git.example.org/${project}.git`,
      commit: commit(project),
      tree: digestOf(`tree of ${project}`),
    },
    canonical: true,
    verdict: "reproducible",
    causes: [],
    outputs: [],
    lacks: [],
    environment: "host, not pinned",
    ...rest,
  });
  return [
    build(3, "hello", {
      verdict: "differs",
      milliseconds: 48_213,
      causes: helloCauses(),
      outputs: [output("out/hello_2.10-3_amd64.deb", 53_084), output("out/hello-dbgsym_2.10-3_amd64.deb", 34_120)],
      lacks: [HOST_LACK],
      source: {
        uri: "pkg:deb/debian/hello@2.10-3",
        commit: commit("hello"),
        tag: "2.10-3",
        tree: digestOf("tree of hello"),
      },
    }),
    build(26, "left-align", {
      milliseconds: 9120,
      outputs: [output("dist/left-align-3.1.0.tgz", 18_442)],
      lacks: [HOST_LACK],
      source: {
        uri: "https://git.example.org/left-align.git",
        commit: commit("left-align"),
        tag: "v3.1.0",
        tree: digestOf("tree of left-align"),
      },
    }),
    build(95, "itoa", {
      milliseconds: 31_877,
      verdict: "fails-in-adversarial",
      outputs: [output("target/package/itoa-1.0.11.crate", 10_563)],
    }),
    build(310, "left-align", {
      canonical: false,
      verdict: undefined,
      milliseconds: 8801,
      outputs: [output("dist/left-align-3.1.0-dev.tgz", 18_501)],
      source: { uri: "file:left-align" },
    }),
    build(1503, "gorilla-mux", { verdict: "failed", milliseconds: 640, outputs: [] }),
    build(2890, "wheelwright", {
      milliseconds: 14_010,
      outputs: [
        output("dist/wheelwright-0.9.2-py3-none-any.whl", 71_204),
        output("dist/wheelwright-0.9.2.tar.gz", 68_011),
      ],
    }),
  ];
}

function helloCauses(): FoundCause[] {
  return [
    {
      name: "hostname",
      artifact: "out/hello_2.10-3_amd64.deb",
      path: "data.tar.xz › ./usr/bin/hello",
      command: "gcc -DBUILD_HOST=… -c src/hello.c",
      evidence: {
        text: "'canonical' in one world, 'adversarial-7' in the other",
        a: window(12_304, "GNU hello 2.10\0built on canonical by \0%s: unrecog", "canonical"),
        b: window(12_304, "GNU hello 2.10\0built on adversarial-7 by \0%s: un", "adversarial-7"),
      },
      confidence: 0.99,
      remedy: "drop the host name from the program: remove -DBUILD_HOST from src/Makefile.am",
    },
    {
      name: "clock",
      artifact: "out/hello_2.10-3_amd64.deb",
      path: "data.tar.xz › ./usr/share/man/man1/hello.1.gz › gunzip",
      evidence: {
        text: "the date of the build, 'November 2026' against 'December 2027'",
        a: window(18, '.TH HELLO "1" "November 2026" "hello 2.10"', "November 2026"),
        b: window(18, '.TH HELLO "1" "December 2027" "hello 2.10"', "December 2027"),
      },
      confidence: 0.97,
      remedy: "give help2man the source's date: export SOURCE_DATE_EPOCH before it runs",
    },
    {
      name: "consequence",
      artifact: "out/hello_2.10-3_amd64.deb",
      path: "control.tar.xz › ./md5sums",
      evidence: { text: "checksums of the two files above" },
      confidence: 1,
      remedy: "none of its own: it goes away with its cause",
    },
  ];
}

const WORLDS: readonly World[] = [
  {
    name: "canonical",
    clockOffset: 0,
    startDelay: 0,
    buildPath: "/build/source",
    hostname: "canonical",
    user: { name: "builder", uid: 1000, gid: 1000, group: "builder", fullName: "Builder", home: "/home/builder" },
    timezone: "UTC",
    locale: "C.UTF-8",
    umask: 0o022,
    cpus: undefined,
    directoryOrder: "sorted",
    aslr: false,
    environment: {},
  },
  {
    name: "adversarial",
    clockOffset: 400 * 86_400 + 3 * 3600,
    startDelay: 1100,
    buildPath: "/tmp/elsewhere/a longer path/source",
    hostname: "adversarial-7",
    user: { name: "jøran", uid: 4711, gid: 4712, group: "others", fullName: "J. Øran", home: "/srv/home/jøran" },
    timezone: "Etc/GMT-14",
    locale: "tr_TR.UTF-8",
    umask: 0o077,
    cpus: 1,
    directoryOrder: "reversed",
    aslr: true,
    environment: {},
  },
];

function storyEvents(build: BuildRecord): StoryEvent[] {
  const event = (seconds: number, kind: StoryEvent["kind"], data: JsonObject, more: Partial<StoryEvent> = {}) => ({
    at: build.at + seconds * 1000,
    kind,
    ok: true,
    data,
    ...more,
  });
  const lockfiles = [{ path: "package-lock.json", sha256: hex(sha256(build.project)) }];
  const story: StoryEvent[] = [
    event(0, "lock", { materials: 42, lockfiles, environment: build.environment }, { milliseconds: 812 }),
  ];
  const worlds = build.canonical ? WORLDS : WORLDS.slice(0, 1);
  worlds.forEach((world, index) => {
    const fails = build.verdict === "failed" || (build.verdict === "fails-in-adversarial" && index === 1);
    const result = { outcome: "exited", exitCode: fails ? 2 : 0, peakMemory: 187_400_192 };
    const took = { ok: !fails, milliseconds: 7400 + 900 * index };
    story.push(event(1, "world", { world: JSON.parse(JSON.stringify(world)) as JsonObject, ...result }, took));
  });
  if (!isAttested(build)) return story;
  for (const { path, digest: artifact, size } of build.outputs) {
    const bundles = bundlesOf({ path, digest: artifact, size })[1];
    story.push(event(12, "sbom", { format: "CycloneDX 1.6", components: 42, completeness: 1 }, { artifact }));
    for (const { digest, predicateType } of bundles) {
      story.push(event(13, "attest", { predicateType, digest }, { artifact, milliseconds: 4 }));
    }
    story.push(event(13, "log", { index: 3, treeSize: 5, origin: "bitforbit.example.org" }, { artifact }));
    story.push(event(14, "store", { name: path, size, manifest: digestOf(`manifest of ${artifact}`) }, { artifact }));
    const reasons = ALLOWED.map((reason): JsonObject => ({
      check: reason.check,
      ok: reason.ok,
      message: reason.message,
    }));
    story.push(event(240, "verify", { reasons, policy: "default" }, { artifact, milliseconds: 61 }));
    story.push(event(540, "promote", { by: "release@example.org" }, { artifact, environment: "staging" }));
  }
  return story;
}

function bundlesOf({
  digest,
}: {
  path: string;
  digest: Digest;
  size: number;
}): [Digest, { digest: Digest; predicateType: string; bytes: Uint8Array }[]] {
  const types = ["https://slsa.dev/provenance/v1", "https://cyclonedx.org/bom"];
  const made = types.map((predicateType) => {
    const subject = [{ name: "artifact", digest: { sha256: digest.slice("sha256:".length) } }];
    const statement = { _type: "https://in-toto.io/Statement/v1", subject, predicateType, predicate: {} };
    const bytes = utf8(
      JSON.stringify({
        mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
        verificationMaterial: { publicKey: { hint: "sample" }, tlogEntries: [] },
        dsseEnvelope: {
          payload: base64(utf8(JSON.stringify(statement))),
          payloadType: "application/vnd.in-toto+json",
          signatures: [{ sig: base64(sha256(digest)) }],
        },
      }),
    );
    return { digest: digestOf(bytes), predicateType, bytes };
  });
  return [digest, made];
}

/** Five entries: one partial tile of hashes and one of entries (C2SP tlog-tiles). */
const LEAVES: readonly Uint8Array[] = [0, 1, 2, 3, 4].map((index) => utf8(`{"kind":"hashedrekord","entry":${index}}`));

const leafHash = (leaf: Uint8Array): Uint8Array => sha256(concat([Uint8Array.of(0), leaf]));

function tilesOf(leaves: readonly Uint8Array[]): Map<string, Uint8Array> {
  const framed = leaves.map((leaf) => concat([Uint8Array.of(leaf.length >> 8, leaf.length & 255), leaf]));
  return new Map([
    [`tile/0/000.p/${leaves.length}`, concat(leaves.map(leafHash))],
    [`tile/entries/000.p/${leaves.length}`, concat(framed)],
  ]);
}

/** RFC 6962, section 2.1: the Merkle tree hash of leaf hashes. */
export function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1 && hashes[0] !== undefined) return hashes[0];
  let half = 1;
  while (half * 2 < hashes.length) half *= 2;
  return sha256(concat([Uint8Array.of(1), rootOf(hashes.slice(0, half)), rootOf(hashes.slice(half))]));
}

function checkpointOf(leaves: readonly Uint8Array[]): Uint8Array {
  const origin = "bitforbit.example.org";
  const body = `${origin}\n${leaves.length}\n${base64(rootOf(leaves.map(leafHash)))}\n`;
  // The server passes signatures on and never looks at them; these are 68 bytes of the right form.
  const signature = base64(concat([sha256(origin).slice(0, 4), sha256(body), sha256(`${body}.`)]));
  return utf8(`${body}\n— ${origin} ${signature}\n`);
}
