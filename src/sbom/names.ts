/** What CycloneDX and SPDX call the same things. */
import { sha256Hex } from "../digest.ts";

/** CycloneDX hash algorithms and SPDX's; the others of either have no counterpart. */
export const HASH_NAMES: ReadonlyMap<string, string> = new Map([
  ["MD5", "MD5"],
  ["SHA-1", "SHA1"],
  ["SHA-256", "SHA256"],
  ["SHA-384", "SHA384"],
  ["SHA-512", "SHA512"],
  ["SHA3-256", "SHA3-256"],
  ["SHA3-384", "SHA3-384"],
  ["SHA3-512", "SHA3-512"],
  ["BLAKE2b-256", "BLAKE2b-256"],
  ["BLAKE2b-384", "BLAKE2b-384"],
  ["BLAKE2b-512", "BLAKE2b-512"],
  ["BLAKE3", "BLAKE3"],
]);

/** Lengths of the hexadecimal digits of each, as CycloneDX's schema allows them. */
export const HASH_DIGITS: RegExp = /^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/;

/** CycloneDX component types and SPDX 2.3 primaryPackagePurpose. */
export const PURPOSES: ReadonlyMap<string, string> = new Map([
  ["application", "APPLICATION"],
  ["framework", "FRAMEWORK"],
  ["library", "LIBRARY"],
  ["container", "CONTAINER"],
  ["operating-system", "OPERATING-SYSTEM"],
  ["device", "DEVICE"],
  ["firmware", "FIRMWARE"],
  ["file", "FILE"],
]);

/** Types of CycloneDX 1.6 that SPDX has no purpose for. */
export const OTHER_TYPES: ReadonlySet<string> = new Set([
  "platform",
  "device-driver",
  "machine-learning-model",
  "data",
  "cryptographic-asset",
]);

export const AGGREGATES: ReadonlySet<string> = new Set([
  "complete",
  "incomplete",
  "incomplete_first_party_only",
  "incomplete_first_party_proprietary_only",
  "incomplete_first_party_opensource_only",
  "incomplete_third_party_only",
  "incomplete_third_party_proprietary_only",
  "incomplete_third_party_opensource_only",
  "unknown",
  "not_specified",
]);

export const PHASES: ReadonlySet<string> = new Set([
  "design",
  "pre-build",
  "build",
  "post-build",
  "operations",
  "discovery",
  "decommission",
]);

/** Types of external references in CycloneDX 1.6, but for `website` and `distribution`, which are fields of ours. */
export const REFERENCE_TYPES: ReadonlySet<string> = new Set(
  (
    "vcs issue-tracker advisories bom mailing-list social chat documentation support source-distribution " +
    "distribution-intake license build-meta build-system release-notes security-contact model-card log configuration " +
    "evidence formulation attestation threat-model adversary-model risk-assessment vulnerability-assertion " +
    "exploitability-statement pentest-report static-analysis-report dynamic-analysis-report runtime-analysis-report " +
    "component-analysis-report maturity-report certification-report codified-infrastructure quality-metrics poam " +
    "electronic-signature digital-signature rfc-9116 other"
  ).split(" "),
);

/** The SPDX identifier for a licence that has a name only; the same name and text give the same one. */
export function licenceRef(name: string, text: string | undefined): string {
  const slug = name.replaceAll(/[^A-Za-z0-9.]+/g, "-").slice(0, 60);
  const plain = slug === name && text === undefined;
  return `LicenseRef-${plain ? slug : `${slug}-${sha256Hex(`${name}\0${text ?? ""}`).slice(0, 12)}`}`;
}

const WORD = String.raw`(?:DocumentRef-[A-Za-z0-9.-]+:)?[A-Za-z0-9][A-Za-z0-9.-]*\+?`;
const TOKEN = new RegExp(`^(?:[()]|${WORD})$`);

/** Whether `text` is an SPDX licence expression (SPDX 2.3, annex D) by its grammar; identifiers are not looked up. */
export function isExpression(text: string): boolean {
  const tokens = text.replaceAll(/[()]/g, " $& ").trim().split(/ +/);
  let depth = 0;
  let wantsLicence = true;
  for (const [at, token] of tokens.entries()) {
    if (!TOKEN.test(token)) return false;
    const operator = token === "AND" || token === "OR" || token === "WITH";
    if (wantsLicence) {
      if (operator || token === ")") return false;
      if (token === "(") {
        if (tokens[at - 1] === "WITH") return false;
        depth += 1;
      } else wantsLicence = false;
    } else if (token === ")") {
      if ((depth -= 1) < 0) return false;
    } else if (operator) {
      if (token === "WITH" && (tokens[at - 1] === ")" || tokens[at - 2] === "WITH")) return false;
      wantsLicence = true;
    } else return false;
  }
  return depth === 0 && !wantsLicence;
}

/** SPDX identifiers are letters, digits, `.` and `-`: the rest of a ref is written as `-` and two digits a byte. */
export function spdxId(ref: string): string {
  if (/^SPDXRef-(?!ref-|DOCUMENT$)[A-Za-z0-9.-]+$/.test(ref)) return ref;
  const escaped = [...Buffer.from(ref, "utf8")].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9.]/.test(character) ? character : `-${byte.toString(16).padStart(2, "0")}`;
  });
  return `SPDXRef-ref-${escaped.join("")}`;
}

/** What `spdxId` was made of. */
export function refOfSpdxId(id: string): string {
  const escaped = /^SPDXRef-ref-((?:[A-Za-z0-9.]|-[0-9a-f]{2})*)$/.exec(id)?.[1];
  if (escaped === undefined) return id;
  const bytes = escaped.match(/-[0-9a-f]{2}|[A-Za-z0-9.]/g) ?? [];
  const ref = Buffer.from(
    bytes.map((part) => (part.length === 3 ? Number.parseInt(part.slice(1), 16) : part.charCodeAt(0))),
  ).toString("utf8");
  // Not one of ours, if it does not come out the same: kept as it is.
  return spdxId(ref) === id ? ref : id;
}
