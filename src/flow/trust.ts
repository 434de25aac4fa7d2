import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { BitforbitError } from "../errors.ts";
import type { OpenedRing } from "../keys/key-ring.ts";
import { parsePublicKey, type PublicKey } from "../keys/verifier.ts";
import { verifierKeyText } from "../format/note.ts";
import {
  defaultPolicy,
  type NamedIdentities,
  parsePolicy,
  type Policy,
  policyToml,
  readPolicy,
  wholePolicy,
} from "../policy/policy.ts";
import { makeTrust, type Trust, type TrustInput } from "../policy/trust.ts";
import { BUILDER_ID } from "./builder.ts";
import type { Home } from "./home.ts";
import { smallText } from "../small-file.ts";

export interface Rules {
  policy: Policy;
  trust: Trust;
  /** Key-rings that keys and logs of it are from. */
  rings?: readonly OpenedRing[];
  /** Where they came from, for people. */
  from: string;
}

/** Loaded for those who trust themselves, or a key-ring: a policy file that lists its keys needs none of it. */
const homeRings = (): Promise<typeof import("../keys/home-ring.ts")> => import("../keys/home-ring.ts");

/** The rules by which to decide: a policy file, or the home's own trust in itself. */
export async function rulesFor(home: Home, policyFile: string | undefined): Promise<Rules> {
  if (policyFile !== undefined) return await rulesOfFile(home, policyFile);
  const trusted = await ringsOf(home);
  const own = await ownTrust(home).catch((error: unknown) => {
    if (!(error instanceof BitforbitError) || error.code !== "input") throw error;
    // Whoever only verifies has no keys of his own, and trusts whom he was told to.
    if (trusted.length > 0) return undefined;
    throw new BitforbitError("input", `nobody to trust: ${error.message}`, {
      cause: error,
      hint: "run it in the project that built, or give --home, or the builder's --policy file ('bitforbit policy show')",
    });
  });
  const { demands, witnesses } = await witnessed(home);
  return {
    policy: { ...wholePolicy(BUILDER_ID), ...demands },
    trust: makeTrust({ ...trustInput(own, trusted), ...witnesses }),
    rings: [...(own?.ring === undefined ? [] : [own.ring]), ...trusted],
    from: fromWords(own, trusted),
  };
}

/** The rules of a policy file, with the key-rings that it names, from the folder that it is in. */
async function rulesOfFile(home: Home, file: string): Promise<Rules> {
  const text = await readText(file);
  const rings: OpenedRing[] = [];
  for (const { path, ...pin } of readPolicy(text, file).rings) {
    const place = resolve(dirname(file), path);
    const content = await readText(place, MAX_RING_BYTES);
    const { openPinnedRing } = await import("../keys/key-ring.ts");
    rings.push(await notBefore(home, openPinnedRing(content, place, pin), content, place));
  }
  const { policy, trust } = parsePolicy(text, file, rings);
  return { policy, trust: await withNamed(trust, readPolicy(text, file).identities, file), rings, from: file };
}

/** Loaded for policies that name identities. */
async function withNamed(trust: Trust, named: NamedIdentities | undefined, file: string): Promise<Trust> {
  if (named === undefined) return trust;
  const { readTrustedRoot } = await import("../attest/read-trusted-root.ts");
  const { withIdentities } = await import("../policy/identity-judge.ts");
  const place = resolve(dirname(file), named.trustedRoot);
  const bytes = new TextEncoder().encode(await readText(place, MAX_RING_BYTES));
  return withIdentities(trust, readTrustedRoot(bytes, place), named.list);
}

/** Neither an older version than the one that this home has of the same key-ring, nor another of the same number. */
async function notBefore(home: Home, opened: OpenedRing, file: string, what: string): Promise<OpenedRing> {
  const { ring } = opened.ring;
  const { readHomeRing, trustedRings } = await homeRings();
  const all = [await readHomeRing(home.root), ...(await trustedRings(home.root))];
  const known = all.find((one) => one?.ring.ring === ring);
  return known === undefined ? opened : (await import("../keys/key-ring.ts")).openKeyRing(file, what, known);
}

/** A home whose log has witnesses believes nothing that they did not see. */
async function witnessed(
  home: Home,
): Promise<{ demands: Pick<Policy, "quorum">; witnesses: Pick<TrustInput, "witnesses"> }> {
  const named = await (await import("./witness-list.ts")).witnessesOf(home);
  if (named === undefined) return { demands: {}, witnesses: {} };
  return {
    demands: { quorum: { witnesses: named.quorum } },
    witnesses: { witnesses: named.witnesses.map(({ key }) => verifierKeyText(key)) },
  };
}

const fromWords = (own: OwnTrust | undefined, trusted: readonly OpenedRing[]): string =>
  [
    ...(own === undefined ? [] : ["this home's own key and log"]),
    ...(trusted.length === 0 ? [] : [`${trusted.length} trusted key-ring${trusted.length === 1 ? "" : "s"}`]),
  ].join(" and ");

/** Keys and logs of the home and of the key-rings that it was told to trust. */
function trustInput(own: OwnTrust | undefined, trusted: readonly OpenedRing[]): TrustInput {
  const rings = trusted.map((opened) => ({ name: `key-ring ${opened.ring.ring.slice(0, 8)}`, opened }));
  if (own === undefined) return { keys: [], logs: [], keyRings: rings };
  const { ring, logs } = own;
  const keys = ring === undefined ? own.keys.map(({ pem }) => ({ name: OWN_NAME, publicKeyPem: pem })) : [];
  return { keys, logs, keyRings: [...(ring === undefined ? [] : [{ name: OWN_NAME, opened: ring }]), ...rings] };
}

const OWN_NAME = "this home's key";

/** Key-rings of others, taken with 'keys trust'; not those that came with a repository. */
async function ringsOf(home: Home): Promise<OpenedRing[]> {
  await requireOwnHome(home);
  return await (await homeRings()).trustedRings(home.root);
}

/**
 * A home that git tracks came with the repository: its keys are whoever's who
 * wrote them, and trusting them would let a repository vouch for itself. Git's
 * index names tracked paths in plain text, so asking costs one read.
 */
const KEPT = ["keys/", "trusted/", "witnesses"];

async function requireOwnHome(home: Home): Promise<void> {
  const index = await readFile(join(dirname(home.root), ".git", "index")).catch(() => undefined);
  if (index === undefined || !KEPT.some((kept) => index.includes(`${basename(home.root)}/${kept}`))) return;
  throw new BitforbitError("input", `${home.root} is tracked by git, so whom it trusts came with the repository`, {
    hint: `git rm -r --cached ${basename(home.root)}; trust a builder by its --policy file instead`,
  });
}

interface OwnTrust {
  /** Active keys that sign artifacts. */
  keys: PublicKey[];
  /** The home's log, unless the ring names it. */
  logs: { origin: string; publicKeyPem: string }[];
  /** Undefined in a home of before there were key-rings. */
  ring: OpenedRing | undefined;
}

async function ownTrust(home: Home): Promise<OwnTrust> {
  await requireOwnHome(home);
  const ring = await (await homeRings()).readHomeRing(home.root);
  if (ring === undefined) {
    const { publicKeys } = await import("../keys/keys.ts");
    const { artifact, checkpoint } = await publicKeys(home.root);
    return { keys: [artifact], logs: [await ownLog(home, checkpoint.pem)], ring };
  }
  const active = ring.ring.keys.filter(({ status }) => status === "active");
  const keys = active.filter(({ role, algorithm }) => role === "artifact" && algorithm === "ecdsa-p256");
  const checkpoint = active.find(({ role }) => role === "checkpoint");
  // The log of a home whose ring was signed before the log had begun.
  const logs = checkpoint === undefined || ring.ring.logs.length > 0 ? [] : [await ownLog(home, checkpoint.publicKey)];
  return { keys: keys.map(({ publicKey }) => parsePublicKey(publicKey)), logs, ring };
}

async function ownLog(home: Home, publicKeyPem: string): Promise<{ origin: string; publicKeyPem: string }> {
  const { openLogReader } = await import("../log/reader.ts");
  const { identity } = await openLogReader(join(home.root, "log"), publicKeyPem);
  return { origin: identity.origin, publicKeyPem };
}

/** Rules that trust one key and one log that were handed over as PEM files. */
export async function rulesForKeys(keyFile: string, logKeyFile: string, origin: string): Promise<Rules> {
  const artifactKey = parsePublicKey(await readText(keyFile), keyFile);
  const logKey = parsePublicKey(await readText(logKeyFile), logKeyFile);
  const log = { origin, publicKeyPem: logKey.pem };
  return { ...defaultPolicy({ artifactKey, log, builder: BUILDER_ID }), from: `${keyFile} and ${logKeyFile}` };
}

/** The home's own rules as a policy file, to hand to whoever verifies. */
export async function ownPolicyFile(home: Home): Promise<string> {
  const { keys, logs, ring } = await ownTrust(home);
  const listed = keys.map(({ pem }, at) => ({ name: at === 0 ? "builder" : `builder ${at + 1}`, publicKeyPem: pem }));
  const ringLogs = (ring?.ring.logs ?? []).flatMap(({ origin, key }) =>
    (ring?.ring.keys ?? [])
      .filter(({ keyId, status }) => keyId === key && status !== "revoked")
      .map(({ publicKey }) => ({ origin, publicKeyPem: publicKey })),
  );
  const { demands, witnesses } = await witnessed(home);
  return policyToml(
    { ...wholePolicy(BUILDER_ID), ...demands },
    { keys: listed, logs: [...logs, ...ringLogs], ...witnesses },
  );
}

const MAX_RING_BYTES = 4 << 20;
/** A policy or a key; both are small. */
const MAX_TEXT_BYTES = 1 << 20;

export async function readText(path: string, most: number = MAX_TEXT_BYTES): Promise<string> {
  return smallText(path, most);
}
