/** Which bundles are about an artifact, signed by somebody trusted, and logged: with keys or with certificates. */
import { parseBundle } from "../attest/bundle.ts";
import { rfc3339 } from "../clock.ts";
import { type Digest, hexOf, isDigest } from "../digest.ts";
import type { Reason } from "./decision.ts";
import type { Accepted, Evidence, Hearing } from "./hearing.ts";
import { DIGEST_HINT, HINTS } from "./hints.ts";
import { checkInclusion, checkSignature } from "./signature.ts";
import { checkSubject, count, refused } from "./statement-checks.ts";
import type { CertifiedStatement, Trust } from "./trust.ts";

const MAX_BUNDLES = 256;

/** Digest, bundle, signature, subject, log: what is left is about this artifact and signed by someone trusted. */
export function authenticate(hearing: Hearing): Evidence<Accepted>[] | undefined {
  const { artifact, bundles, trust } = hearing.request;
  if (!isDigest(artifact.digest)) {
    return hearing.deny("digest", `not a digest: ${JSON.stringify(artifact.digest.slice(0, 100))}`, DIGEST_HINT);
  }
  hearing.allow("digest", `${artifact.name ?? "the artifact"} is ${artifact.digest}`);
  if (bundles.length === 0) return hearing.deny("bundle", `there is no bundle for ${artifact.digest}`, HINTS.bundle);
  if (bundles.length > MAX_BUNDLES) {
    return hearing.deny(
      "bundle",
      `${bundles.length} bundles are over ${MAX_BUNDLES}`,
      "hand in those of this artifact only",
    );
  }
  const all = bundles.map((value, bundle) => ({ bundle, value }));
  if (trust.identities === undefined) return signedWithKeys(hearing, all, true);
  if (isExpired(hearing)) return undefined;
  const { certified, others, reason } = certifiedBundles(hearing, all, trust.identities);
  if (certified.length === 0 && others.length === 0) {
    return hearing.deny(reason?.check ?? "bundle", reason?.message ?? "", reason?.hint ?? HINTS.bundle);
  }
  const keyed = others.length === 0 ? [] : signedWithKeys(hearing, others, certified.length === 0);
  return certified.length === 0 ? keyed : [...certified, ...(keyed ?? [])];
}

/** Bundles that are signed with a certificate, each judged by itself; what nobody may have signed is set aside. */
function certifiedBundles(
  hearing: Hearing,
  all: readonly Evidence<Uint8Array>[],
  identities: NonNullable<Trust["identities"]>,
): { certified: Evidence<Accepted>[]; others: Evidence<Uint8Array>[]; reason: Reason | undefined } {
  const digest = hearing.request.artifact.digest as Digest;
  const certified: Evidence<Accepted>[] = [];
  const others: Evidence<Uint8Array>[] = [];
  let reason: Reason | undefined;
  for (const item of all) {
    const judged = identities.judge(item.value, digest);
    const last = judged?.reasons.at(-1);
    if (judged === undefined) others.push(item);
    else if (judged.statement !== undefined) {
      if (certified.length === 0) hearing.reasons.push(...judged.reasons.filter(({ check }) => check !== "digest"));
      takeFacts(hearing, judged.statement);
      const { statement, key, logged } = judged.statement;
      certified.push({ bundle: item.bundle, value: { ...statement, key, origin: logged.origin, logged } });
    } else if (last !== undefined) {
      hearing.setAside.push({ bundle: item.bundle, check: last.check, message: last.message });
      reason ??= { ...last, hint: HINTS[last.check] };
    }
  }
  return { certified, others, reason };
}

function takeFacts(hearing: Hearing, { key, identity, signedAt, logged }: CertifiedStatement): void {
  const { signedBy } = hearing.facts;
  hearing.facts.identity ??= identity;
  hearing.facts.signedAt ??= rfc3339(signedAt);
  const { origin, index, treeSize } = logged;
  hearing.facts.log ??= { origin, index, ...(treeSize === 0 ? {} : { treeSize }) };
  if (!signedBy.some(({ name }) => name === key.name)) signedBy.push({ keyId: key.key.keyId, name: key.name });
}

function isExpired(hearing: Hearing): boolean {
  const { trust, now } = hearing.request;
  if (trust.expires === undefined || trust.expires > now) return false;
  hearing.deny("signature", "the list of trusted keys and logs has expired", "fetch the current list");
  return true;
}

/** Of several kinds of evidence one may be enough: then nothing is denied for want of this. */
function signedWithKeys(
  hearing: Hearing,
  bundles: Evidence<Uint8Array>[],
  needed: boolean,
): Evidence<Accepted>[] | undefined {
  const { artifact, trust, now } = hearing.request;
  const parsed = hearing.keep("bundle", bundles, parseBundle, needed);
  if (parsed === undefined) return undefined;
  if (needed) hearing.allow("bundle", `${count(parsed.length, "bundle")} read`);
  if (isExpired(hearing)) return undefined;
  const signed = hearing.keep(
    "signature",
    parsed,
    (bundle) => ({
      bundle,
      ...checkSignature(bundle, trust, now, hearing.witnessing),
    }),
    needed,
  );
  if (signed === undefined) return undefined;
  const names = [...new Set(signed.map(({ value }) => value.key.name))];
  if (needed) hearing.allow("signature", `signed by ${names.join(", ")}`);

  const about = hearing.keep(
    "subject",
    signed,
    (item) => ({
      ...item,
      statement: checkSubject(item.bundle, hexOf(artifact.digest as `sha256:${string}`)),
    }),
    needed,
  );
  if (about === undefined) return undefined;
  if (needed) hearing.allow("subject", `${count(about.length, "statement")} about this digest`);

  const logged = hearing.keep(
    "log",
    about,
    (item) => ({
      ...item,
      logged: checkInclusion(item.bundle, item.key, item.encoding, trust),
    }),
    needed,
  );
  if (logged === undefined) return undefined;
  const [first] = logged;
  if (needed && first !== undefined) {
    const { origin, index, treeSize } = first.value.logged;
    hearing.facts.log = { origin, index, treeSize };
    hearing.allow("log", `in the log ${origin} at index ${index} of ${treeSize}`);
  }
  for (const { value } of logged) {
    const { keyId } = value.key.key;
    if (!hearing.facts.signedBy.some((signer) => signer.keyId === keyId)) {
      hearing.facts.signedBy.push({ keyId, name: value.key.name });
    }
  }
  return logged.map(({ bundle, value }) => {
    const { key, logged: place, statement } = value;
    return { bundle, value: { ...statement, key, origin: place.origin, logged: place } };
  });
}

/** Statements whose checkpoints enough witnesses cosigned, and of those the ones that are so in enough logs. */
export function inEnoughLogs(hearing: Hearing, statements: Evidence<Accepted>[]): Evidence<Accepted>[] | undefined {
  const { logs = 1, witnesses = 0 } = hearing.request.policy.quorum ?? {};
  if (logs <= 1 && witnesses === 0) return statements;
  const witnessed =
    witnesses === 0
      ? statements
      : hearing.keep("quorum", statements, (statement) => {
          hearing.witnessing.of(statement.logged);
          return statement;
        });
  const kept = hearing.keep(
    "quorum",
    witnessed ?? [],
    (statement) => {
      const same = (witnessed ?? []).filter(({ value }) => value.digest === statement.digest);
      const origins = new Set(same.map(({ value }) => value.origin));
      if (origins.size < logs) throw refused(`a statement is in ${count(origins.size, "log")}; ${logs} are needed`);
      return statement;
    },
    witnessed !== undefined,
  );
  const [first] = kept ?? [];
  if (first === undefined) return undefined;
  let by = "";
  if (witnesses > 0) {
    const { cosignedBy, at = 0 } = hearing.witnessing.of(first.value.logged);
    const names = cosignedBy.map(({ name }) => name);
    hearing.facts.witnessed = { by: names, at: rfc3339(at) };
    by = `; its tree was there by ${hearing.facts.witnessed.at}, say ${names.join(", ")}`;
  }
  hearing.allow("quorum", `in ${count(logs, "log")}${by}`);
  return kept;
}
