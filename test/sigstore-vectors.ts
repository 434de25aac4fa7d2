/** The published Sigstore bundles, read in place, and what each is to be verified with. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Digest, digestOf } from "../src/digest.ts";

export interface SigstoreVector {
  name: string;
  fails: boolean;
  bundle: Uint8Array;
  artifact: Uint8Array;
  digest: Digest;
  trustedRoot: Uint8Array;
  identity: string;
  issuer: string;
  /** PEM. */
  key: string | undefined;
}

/** Where published vectors are, or undefined. */
export const vectorsFolder: string | undefined = [
  process.env["BITFORBIT_VECTORS"],
  "../shared/vectors",
  "../../shared/vectors",
]
  .filter((path) => path !== undefined)
  .find((path) => existsSync(join(path, "merkle")));

const IDENTITY =
  "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER = "https://token.actions.githubusercontent.com";

/** Empty without the folder. */
export function sigstoreVectors(): SigstoreVector[] {
  if (vectorsFolder === undefined) return [];
  const root = join(vectorsFolder, "sigstore-bundles");
  return globSync("*/bundle.sigstore.json", { cwd: root })
    .sort()
    .map((file) => vector(root, dirname(file)));
}

function vector(root: string, name: string): SigstoreVector {
  const at = (file: string): string => join(root, name, file);
  const text = (file: string): string | undefined =>
    existsSync(at(file)) ? readFileSync(at(file), "utf8").trim() : undefined;
  const artifact = readFileSync(existsSync(at("artifact")) ? at("artifact") : join(root, "a.txt"));
  return {
    name: basename(name),
    fails: name.endsWith("_fail"),
    bundle: new Uint8Array(readFileSync(at("bundle.sigstore.json"))),
    artifact: new Uint8Array(artifact),
    digest: digestOf(artifact),
    trustedRoot: existsSync(at("trusted_root.json"))
      ? new Uint8Array(readFileSync(at("trusted_root.json")))
      : publicRoot(root),
    identity: text("identity") ?? IDENTITY,
    issuer: text("issuer") ?? ISSUER,
    key: existsSync(at("key.pub")) ? readFileSync(at("key.pub"), "utf8") : undefined,
  };
}

/**
 * The public instance's root. One vector is a copy of it in which the log's key
 * ends early (its README says so); taken back, it is the root as it was.
 */
function publicRoot(root: string): Uint8Array {
  const copy = JSON.parse(
    readFileSync(join(root, "trust-root-tlog-validity-end-inclusive", "trusted_root.json"), "utf8"),
  ) as { tlogs: { publicKey: { validFor: { end?: string } } }[] };
  for (const { publicKey } of copy.tlogs) delete publicKey.validFor.end;
  return new TextEncoder().encode(JSON.stringify(copy));
}
