/** What a build was seen to read, as its provenance in the store tells it. */
import { payloadOf } from "../attest/payload.ts";
import { readStatement } from "../attest/read.ts";
import { PROVENANCE_V1 } from "../attest/statement.ts";
import { type Digest, isDigest } from "../digest.ts";
import { isObject, type Json, type JsonObject } from "../json.ts";
import type { ObservedRead } from "../sbom/claims.ts";
import { openStore } from "../store/store.ts";
import type { Home } from "./home.ts";
import { withLedger } from "./record.ts";

export interface Observed {
  artifact: Digest;
  /** Every locked dependency, read or not. */
  dependencies: ObservedRead[];
}

/** The artifact that a project's last build stored, or undefined. */
export async function lastArtifact(home: Home, project: string): Promise<Digest | undefined> {
  const events = await withLedger(home, async (ledger) => ledger.events({ kinds: ["store"], last: 1000 }));
  const artifact = events.findLast((event) => event.project === project)?.artifact;
  return artifact !== undefined && isDigest(artifact) ? artifact : undefined;
}

/** Undefined where the store has no provenance of it, or the build was not observed. */
export async function observedReads(home: Home, artifact: Digest): Promise<Observed | undefined> {
  const referrers = await (await openStore(home.store)).referrers(artifact);
  for (const { predicateType, bundle } of referrers) {
    if (predicateType !== PROVENANCE_V1) continue;
    const { predicate } = readStatement(payloadOf(await bundle()).payload);
    const dependencies = dependenciesOf(predicate);
    if (dependencies !== undefined) return { artifact, dependencies };
  }
  return undefined;
}

const annotationsOf = ({ annotations }: JsonObject): JsonObject => (isObject(annotations) ? annotations : {});

const text = (value: Json | undefined): string | undefined => (typeof value === "string" ? value : undefined);

function dependenciesOf(predicate: JsonObject): ObservedRead[] | undefined {
  const definition = predicate["buildDefinition"];
  const list = isObject(definition) ? definition["resolvedDependencies"] : undefined;
  const all = (Array.isArray(list) ? list : []).filter(isObject);
  // What an observed build says of its environment and dependencies, one that was not observed leaves out.
  if (!all.some((item) => typeof annotationsOf(item)["read"] === "boolean")) return undefined;
  return all
    .filter((item) => annotationsOf(item)["kind"] === "dependency")
    .map((item) => {
      const digest = isObject(item["digest"]) ? item["digest"] : {};
      const [purl, sha256, sha512] = [text(item["uri"]), text(digest["sha256"]), text(digest["sha512"])];
      return {
        name: text(item["name"]) ?? "",
        read: annotationsOf(item)["read"] === true,
        ...(purl?.startsWith("pkg:") === true ? { purl } : {}),
        ...(sha256 === undefined ? {} : { sha256 }),
        ...(sha512 === undefined ? {} : { sha512 }),
      };
    });
}
