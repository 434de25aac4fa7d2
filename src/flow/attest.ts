/** Signs a statement of any known type about an artifact, logs it, and attaches it to what the store has. */
import { readReproduction } from "../attest/read.ts";
import { BUNDLE_V03 } from "../attest/bundle.ts";
import {
  CYCLONEDX_BOM,
  PROVENANCE_V1,
  REPRODUCTION_V1,
  SPDX_DOCUMENT,
  type Statement,
  statement,
} from "../attest/statement.ts";
import {
  readRelease,
  readTestResult,
  readVerificationSummary,
  RELEASE,
  REPRODUCED,
  TEST_RESULT,
  VSA,
} from "../attest/statement-kinds.ts";
import { digestSetAt, objectAt, objectsAt, textAt } from "../attest/predicate-fields.ts";
import { type Clock, systemClock } from "../clock.ts";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { readCycloneDx } from "../sbom/cyclonedx-read.ts";
import { readSpdx } from "../sbom/spdx-read.ts";
import { openStore } from "../store/store.ts";
import { openAttester, type SigningOptions } from "./attester.ts";
import type { Artifact } from "./evidence.ts";
import type { Home } from "./home.ts";
import { withLedger } from "./record.ts";

interface PredicateType {
  uri: string;
  /** Throws `input` where the predicate is not of this type. */
  check: (predicate: JsonObject) => void;
}

/** By the names that the command line uses. */
export const PREDICATE_TYPES: Readonly<Record<string, PredicateType>> = {
  provenance: { uri: PROVENANCE_V1, check: checkProvenance },
  cyclonedx: { uri: CYCLONEDX_BOM, check: (predicate) => void readCycloneDx(predicate) },
  spdx: {
    uri: SPDX_DOCUMENT,
    check: (predicate) => {
      const { specVersion } = readSpdx(predicate);
      if (specVersion !== "2.3") throw new BitforbitError("input", `SPDX ${specVersion} is not 2.3`);
    },
  },
  "test-result": { uri: TEST_RESULT, check: (predicate) => void readTestResult(predicate) },
  release: { uri: RELEASE, check: (predicate) => void readRelease(predicate) },
  vsa: { uri: VSA, check: checkSummary },
  reproduction: { uri: REPRODUCTION_V1, check: (predicate) => void readReproduction(predicate) },
};

/** SLSA provenance v1 of any build type: what its specification requires. */
function checkProvenance(predicate: JsonObject): void {
  const definition = objectAt(predicate, "buildDefinition");
  textAt(definition, "buildType");
  objectAt(definition, "externalParameters");
  if (definition["resolvedDependencies"] !== undefined) {
    for (const one of objectsAt(definition, "resolvedDependencies"))
      if (one["digest"] !== undefined) digestSetAt(one, "digest");
  }
  textAt(objectAt(objectAt(predicate, "runDetails"), "builder"), "id");
}

function checkSummary(predicate: JsonObject): void {
  if (!readVerificationSummary(predicate).verifiedLevels.includes(REPRODUCED)) return;
  throw new BitforbitError(
    "refused",
    `${REPRODUCED} is not taken from a file: it is earned by two independent rebuilders`,
    {
      hint: "'bitforbit attest ARTIFACT --type vsa' without --predicate verifies and counts the rebuilds",
    },
  );
}

/** The statement of a predicate that somebody handed in. Throws `usage` for an unknown type, `input` where the predicate is not of it. */
export function statementOf(artifact: Artifact, type: string, predicate: JsonObject): Statement {
  const known = Object.hasOwn(PREDICATE_TYPES, type) ? PREDICATE_TYPES[type] : undefined;
  if (known === undefined) {
    throw new BitforbitError("usage", `no such type: ${JSON.stringify(type)}`, {
      hint: `one of ${Object.keys(PREDICATE_TYPES).join(", ")}`,
    });
  }
  known.check(predicate);
  return statement([{ name: artifact.name, digest: artifact.digest }], known.uri, predicate);
}

export interface Attested {
  predicateType: string;
  bundle: Uint8Array;
  digest: Digest;
  keyId: string;
  /** Of a keyless signer. */
  identity?: { subject: string; issuer: string };
  log: { origin: string; index: number };
  /** The referrer's manifest, where the artifact is in the store. */
  referrer?: Digest;
}

/** In this order: signed, durable in the log, attached, and only then told to the ledger. */
export async function signAndAttach(
  home: Home,
  artifact: Artifact,
  made: Statement,
  options: SigningOptions & { clock?: Clock },
): Promise<Attested> {
  const clock = options.clock ?? systemClock;
  const attest = await openAttester(home, options, clock);
  const { bundles, keyId, identity: whole, log } = await attest([made]);
  const [bundle] = bundles;
  const [index] = log.indexes;
  if (bundle === undefined || index === undefined) throw new BitforbitError("outside", "the log gave no proof");
  const identity = whole === undefined ? {} : { identity: { subject: whole.subject, issuer: whole.issuer } };
  const store = await openStore(home.store);
  const stored = await store.artifact(artifact.digest);
  // About something that is not here it is kept all the same: whoever audits the log asks for it.
  if (stored === undefined) await store.putBlob(bundle, BUNDLE_V03);
  const referrer =
    stored === undefined
      ? undefined
      : await store.attach(artifact.digest, bundle, made.predicateType, { created: clock.now() });
  await withLedger(home, async (ledger) => {
    await ledger.record({
      kind: "attest",
      at: clock.now(),
      artifact: artifact.digest,
      ok: true,
      data: { predicateType: made.predicateType, keyId, digest: digestOf(bundle), index, ...identity },
    });
  });
  return {
    predicateType: made.predicateType,
    bundle,
    digest: digestOf(bundle),
    keyId,
    ...identity,
    log: { origin: log.origin, index },
    ...(referrer === undefined ? {} : { referrer }),
  };
}
