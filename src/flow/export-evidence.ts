/** Gathers all evidence for an artifact of a home into one file. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { packEvidence, type PackedEvidence } from "../attest/pack-evidence.ts";
import type { SignedDocument } from "../attest/evidence.ts";
import { equalBytes } from "../bytes.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { publicKeys } from "../keys/keys.ts";
import { type LogReader, openLogReader } from "../log/reader.ts";
import { type Artifact, gatherBundles, readBundles } from "./evidence.ts";
import type { Home } from "./home.ts";
import { haveKeys } from "./keys.ts";

export interface ExportOptions {
  /** Bundles in files, besides what the store holds: rebuild votes of others. */
  bundles: readonly string[];
  documents: readonly SignedDocument[];
  /** Bytes: a larger SBOM stays outside. */
  sbomLimit: number;
}

/** Every proof is made anew for the log's present checkpoint, so that the file needs one. */
export async function exportEvidence(home: Home, artifact: Artifact, options: ExportOptions): Promise<PackedEvidence> {
  const bundles = await gatherBundles(home, artifact, await readBundles(options.bundles));
  if (bundles.length === 0) {
    throw new BitforbitError("input", `there is no evidence for ${artifact.name} in ${home.root}`, {
      hint: "'bitforbit store list' shows what the store has; --bundle adds files",
    });
  }
  // A home whose jobs sign keyless may have neither keys nor a log: what is there goes out with the proofs that it has.
  const log = (await haveKeys(home)) ? await ownLog(home) : undefined;
  return await packEvidence({
    artifact: { name: artifact.name, digest: artifact.digest },
    bundles,
    documents: [...(await keyRing(home)), ...options.documents],
    sbomLimit: options.sbomLimit,
    prove: async (logKeyHash, index) =>
      log !== undefined && equalBytes(logKeyHash, log.identity.keyHash) ? await log.prove(index) : undefined,
  });
}

async function ownLog(home: Home): Promise<LogReader> {
  const { checkpoint: key } = await publicKeys(home.root);
  return await openLogReader(join(home.root, "log"), key.pem);
}

/** As keys/ signs it. */
const KEY_RING = "application/vnd.bitforbit.key-ring+json";

/** The newest version of the home's key-ring, where it keeps one: `keys/key-ring.jsonl`, a signed version a line. */
async function keyRing(home: Home): Promise<SignedDocument[]> {
  try {
    const lines = (await readFile(join(home.keys, "key-ring.jsonl"), "utf8")).trimEnd().split("\n");
    const text = lines.at(-1) ?? "";
    return text === "" ? [] : [{ type: KEY_RING, text }];
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}
