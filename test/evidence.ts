/** A real home with keys and a log, and the evidence of one build in it: for tests that cross rooms. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attestAll } from "../src/attest/sign.ts";
import { type Statement, provenance, reproductionStatement, sbomStatement } from "../src/attest/statement.ts";
import { utf8 } from "../src/bytes.ts";
import { type Digest, digestOf } from "../src/digest.ts";
import { type Keys, openKeys, publicKeys } from "../src/keys/keys.ts";
import { type Log, type LogOptions, openLog } from "../src/log/writer.ts";
import { defaultPolicy } from "../src/policy/policy.ts";
import type { VerifyRequest } from "../src/policy/hearing.ts";
import type { World } from "../src/world.ts";

export const ARTIFACT: Uint8Array = utf8("the artifact's bytes\n");
export const DIGEST: Digest = digestOf(ARTIFACT);
export const BUILDER = "https://bitforbit.dev/builder/local";
export const SOURCE = "git+https://example.org/hello.git";
export const NOW: number = Date.UTC(2026, 10, 23);

export const world = (name: string): World => ({
  name,
  clockOffset: 0,
  startDelay: 0,
  buildPath: `/${name}`,
  hostname: name,
  user: { name: "u", uid: 1000, gid: 1000, group: "u", fullName: "", home: "/home/u" },
  timezone: "UTC",
  locale: "C.UTF-8",
  umask: 0o022,
  cpus: undefined,
  directoryOrder: "sorted",
  aslr: false,
  environment: {},
});

export interface Home {
  folder: string;
  keys: Keys;
  log: Log;
  /** Provenance, SBOM and reproduction of ARTIFACT. */
  statements: [Statement, Statement, Statement];
  bundles: Uint8Array[];
  request: VerifyRequest;
  sign(statements: readonly Statement[]): Promise<Uint8Array[]>;
}

export function statementsAbout(digest: Digest): [Statement, Statement, Statement] {
  const subjects = [{ name: "hello", digest }];
  return [
    provenance({
      subjects,
      source: { uri: SOURCE, digest: { gitCommit: "0123456789abcdef0123456789abcdef01234567" }, ref: "refs/tags/v1" },
      externalParameters: { recipe: { path: "bitforbit.toml" }, command: "make", outputs: ["hello"] },
      internalParameters: { environment: { type: "host", pinned: false } },
      canonical: true,
      materials: [
        {
          kind: "dependency",
          name: "example.org/m",
          purl: "pkg:golang/example.org/m@v1.0.0",
          version: "v1.0.0",
          checksums: { goH1: "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", sha256: "a".repeat(64) },
        },
      ],
      builder: { id: BUILDER, version: "0.1.0" },
      invocationId: "build-1",
      startedOn: NOW - 60_000,
      finishedOn: NOW - 1000,
      byproducts: [{ name: "build.log", digest: digestOf("log"), mediaType: "text/plain" }],
    }),
    sbomStatement(subjects, { bomFormat: "CycloneDX", specVersion: "1.6", version: 1, components: [] }),
    reproductionStatement({
      subjects,
      invocationId: "build-1",
      verdict: "reproducible",
      worlds: [
        { world: world("canonical"), outputs: subjects },
        { world: world("adversarial"), outputs: subjects },
      ],
      causes: [],
      lacks: [{ what: "no libfaketime", remedy: "apt-get install libfaketime", causes: ["clock"] }],
    }),
  ];
}

/** Makes a home of its own; `before` leaves are in the log already, so that proofs have a few hashes. */
export async function makeHome(before = 300, options: LogOptions = {}): Promise<Home> {
  const folder = mkdtempSync(join(tmpdir(), "evidence-"));
  const keys = await openKeys(folder);
  const log = await openLog(join(folder, "log"), keys.checkpoint, options);
  await log.appendAll(Array.from({ length: before }, (_, at) => utf8(`earlier ${at}`)));
  const statements = statementsAbout(DIGEST);
  const sign = (list: readonly Statement[]): Promise<Uint8Array[]> => attestAll(list, keys.artifact, log);
  const bundles = await sign(statements);
  const { artifact } = await publicKeys(folder);
  const { policy, trust } = defaultPolicy({ artifactKey: artifact, log: log.identity, builder: BUILDER });
  const request: VerifyRequest = {
    artifact: { digest: DIGEST, name: "hello" },
    bundles,
    policy,
    trust,
    now: NOW,
  };
  return { folder, keys, log, statements, bundles, request, sign };
}

export function removeHome(home: Home): void {
  rmSync(home.folder, { recursive: true, force: true });
}
