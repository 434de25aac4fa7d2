/** What to do about a check that failed. */
import type { Check } from "./decision.ts";

export const DIGEST_HINT = "a digest is 'sha256:' and 64 lower-case hexadecimal digits";
export const HINTS: Readonly<Record<Check, string>> = {
  digest: DIGEST_HINT,
  bundle: "fetch the artifact's bundles again from where it was published",
  certificate: "hand in the trusted root of the authority that vouches for the signer",
  signature: "if you trust that key, add it to the policy's keys",
  subject: "the artifact was changed after it was signed, or the bundle belongs to another one: fetch both again",
  log: "if you trust that log, add it to the policy's logs; otherwise ask the publisher for a bundle with a valid proof",
  time: "ask the publisher for a bundle whose timestamp is by an authority of the trusted root",
  identity: "if you trust that signer, add it to the policy's identities",
  quorum:
    "ask the publisher for evidence under a checkpoint that more logs or witnesses have signed: 'bitforbit evidence export' proves by the newest",
  builder: "if you trust that builder, add its id to the policy's builders",
  source: "if the artifact may come from there, add the source to the policy's sources",
  tag: "release from a signed tag: 'git tag -s', then build that tag",
  canonical: "build it with 'bitforbit build' from a clean checkout; a local build is never promoted",
  level: "build it on a builder of a higher SLSA level",
  environment: "build it in an environment that the policy allows",
  age: "build it again: what was known when it was built is too old",
  sbom: "'bitforbit build' makes and signs an SBOM; fetch its bundle too",
  components: "replace the component, or allow it in the policy",
  vulnerable: "update the component to a version that is not affected",
  reproduced: "'bitforbit check' says why a build differs; fetch the bundle of the reproduction too",
  rebuilders: "have more independent operators rebuild it, and fetch their bundles",
  rule: "the policy's own rule says what it demands",
};
