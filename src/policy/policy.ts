/** The policy file, TOML or JSON: what a verifier demands, and whom it trusts. */
import { parse, stringify } from "smol-toml";
import * as v from "valibot";
import { BitforbitError } from "../errors.ts";
import { type JsonObject, parseJson } from "../json.ts";
import type { OpenedRing, RingPin } from "../keys/key-ring.ts";
import type { PublicKey } from "../keys/verifier.ts";
import type { Demands } from "./demands.ts";
import { type AcceptedIdentity, looseness } from "./identity.ts";
import { type Trust, type TrustInput, makeTrust } from "./trust.ts";

export interface Policy extends Demands {
  /** SLSA builder ids that are allowed, exactly. */
  builders: readonly string[];
  /** Source URIs that are allowed; one may end in `*`, and `*` alone is any source. */
  sources: readonly string[];
  requireCanonical: boolean;
  requireSbom: boolean;
  /** The same bytes in two worlds. */
  requireReproduced: boolean;
}

/** A key-ring that a policy names: whoever reads the policy's file reads this one, too. */
export interface NamedRing extends RingPin {
  /** Of its keys, in messages and for operators. */
  name: string;
  /** From the policy's folder. */
  path: string;
}

const MAX_TEXT = 1 << 20;
const text = v.pipe(v.string(), v.nonEmpty());
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
const some = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64));
const level = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(4));
const pattern = v.pipe(text, v.regex(/^[^*]*\*?$/, "a * may only stand at the end"));
/** In English, of `identity.ts`: what is too loose is refused where it is written. */
const bounded = v.pipe(
  text,
  v.rawCheck(({ dataset, addIssue }) => {
    const why = dataset.typed ? looseness(dataset.value) : undefined;
    if (why !== undefined) addIssue({ message: why });
  }),
);

/** Further demands: what is not said is not demanded. */
const DEMANDS = {
  requireSignedTag: v.optional(v.boolean()),
  minimumLevel: v.optional(level),
  levels: v.optional(v.record(text, level)),
  environments: v.optional(v.pipe(v.array(pattern), v.minLength(1))),
  maximumAge: v.optional(v.pipe(v.string(), v.regex(/^[1-9]\d{0,4}[dh]$/, "an age is written as 90d or 12h"))),
  minimumCompleteness: v.optional(share),
  forbiddenComponents: v.optional(v.array(v.pipe(pattern, v.startsWith("pkg:")))),
  denyVulnerable: v.optional(v.boolean()),
  minimumGrade: v.optional(v.picklist(["partial", "full"])),
  rebuilders: v.optional(
    v.strictObject({
      threshold: some,
      operators: v.pipe(
        v.array(v.strictObject({ name: text, keys: v.pipe(v.array(text), v.minLength(1)) })),
        v.minLength(1),
      ),
    }),
  ),
  quorum: v.optional(v.strictObject({ logs: v.optional(some), witnesses: v.optional(some) })),
  rules: v.optional(v.array(v.strictObject({ name: text, expression: text, message: v.optional(text) }))),
};

const Shape = v.strictObject({
  version: v.literal(1),
  builders: v.pipe(v.array(text), v.minLength(1)),
  sources: v.pipe(v.array(v.pipe(text, v.regex(/^[^*]*\*?$/, "a * may only stand at the end"))), v.minLength(1)),
  // What a policy does not say is demanded.
  requireCanonical: v.optional(v.boolean(), true),
  requireSbom: v.optional(v.boolean(), true),
  requireReproduced: v.optional(v.boolean(), true),
  ...DEMANDS,
  /** RFC 3339. */
  expires: v.optional(v.union([v.string(), v.date()])),
  keys: v.optional(
    v.array(
      v.strictObject({
        name: text,
        publicKey: text,
        validUntil: v.optional(v.union([v.string(), v.date()])),
        revoked: v.optional(v.boolean(), false),
      }),
    ),
    [],
  ),
  logs: v.optional(v.array(v.strictObject({ origin: text, publicKey: text })), []),
  keyRings: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          name: text,
          path: text,
          root: v.optional(v.strictObject({ threshold: some, keys: v.pipe(v.array(text), v.minLength(1)) })),
          minimumVersion: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
        }),
      ),
      v.minLength(1),
      v.maxLength(64),
    ),
  ),
  /** From the policy's folder: Sigstore's, whose authorities vouch for the identities. */
  trustedRoot: v.optional(text),
  identities: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          name: text,
          issuer: v.pipe(text, v.regex(/^[^*]+$/, "an issuer is named exactly, without *")),
          subject: v.optional(bounded),
          repository: v.optional(v.pipe(text, v.regex(/^[^*]+$/, "a repository is named exactly, without *"))),
          workflow: v.optional(bounded),
          ref: v.optional(bounded),
        }),
      ),
      v.minLength(1),
      v.maxLength(64),
    ),
  ),
  /** Verifier keys, as `witness key` prints them. */
  witnesses: v.optional(v.pipe(v.array(text), v.minLength(1), v.maxLength(64))),
});

/**
 * Parses a policy. `keyRings` are those that it names, in its order, opened.
 * Throws `input`, naming `path` and the field (for TOML that cannot be read, line and column).
 */
export function parsePolicy(
  source: string,
  path: string,
  keyRings: readonly OpenedRing[] = [],
): { policy: Policy; trust: Trust } {
  const { policy, input, rings } = readPolicy(source, path);
  if (rings.length !== keyRings.length) {
    throw new BitforbitError(
      "input",
      `${path}: keyRings: ${rings.length} are named, ${keyRings.length} were handed in`,
    );
  }
  const opened = keyRings.flatMap((ring, at) => ({ name: rings[at]?.name ?? "", opened: ring }));
  return { policy, trust: makeTrust({ ...input, keyRings: opened }) };
}

/** Whom a policy names besides keys. */
export interface NamedIdentities {
  /** From the policy's folder. */
  trustedRoot: string;
  list: AcceptedIdentity[];
}

/** What a policy demands, whom it lists, and the key-rings and identities that it names. Throws as `parsePolicy`. */
export function readPolicy(
  source: string,
  path: string,
): { policy: Policy; input: TrustInput; rings: NamedRing[]; identities?: NamedIdentities } {
  const { version: _version, keys, logs, keyRings = [], witnesses, expires, ...rest } = read(source, path);
  const { trustedRoot, identities = [], ...demands } = rest;
  for (const [field, list] of Object.entries({ keys, logs })) {
    if (list.length > 0 || keyRings.length > 0 || (identities.length > 0 && keys.length === 0)) continue;
    throw new BitforbitError("input", `${path}: ${field}: none are listed, and no keyRings or identities`, {
      hint: PARTS,
    });
  }
  checkIdentities(identities, trustedRoot, path);
  checkRebuilders(demands, [...keys, ...keyRings, ...identities], path);
  checkWitnesses(witnesses ?? [], demands.quorum?.witnesses, path);
  const input: TrustInput = {
    keys: keys.map(({ name, publicKey, validUntil, revoked }) => ({
      name,
      publicKeyPem: publicKey,
      revoked,
      ...(validUntil === undefined ? {} : { validUntil: instant(validUntil, path, "keys.validUntil") }),
    })),
    logs: logs.map(({ origin, publicKey }) => ({ origin, publicKeyPem: publicKey })),
    ...(witnesses === undefined ? {} : { witnesses }),
    ...(expires === undefined ? {} : { expires: instant(expires, path, "expires") }),
  };
  const rings = JSON.parse(JSON.stringify(keyRings)) as NamedRing[];
  const twice = [...keys, ...rings, ...identities].find(
    ({ name }, at, all) => at >= keys.length && all.findIndex((one) => one.name === name) !== at,
  );
  if (twice !== undefined) {
    const field = identities.some(({ name }) => name === twice.name) ? "identities" : "keyRings";
    throw new BitforbitError("input", `${path}: ${field}: the name ${twice.name} is taken`);
  }
  const named = trustedRoot === undefined ? {} : { identities: { trustedRoot, list: identities } };
  return { policy: plain(demands), input, rings, ...named };
}

/** An identity is worth what vouches for it, and a name that is not said would be anybody's of that issuer. */
function checkIdentities(identities: readonly AcceptedIdentity[], trustedRoot: string | undefined, path: string): void {
  if (identities.length > 0 !== (trustedRoot !== undefined)) {
    throw new BitforbitError("input", `${path}: identities and trustedRoot go together`, {
      hint: "trustedRoot is the trusted_root.json whose authorities vouch for the identities, from the policy's folder",
    });
  }
  const anybody = identities.find(
    ({ subject, repository, workflow }) => (subject ?? repository ?? workflow) === undefined,
  );
  if (anybody === undefined) return;
  throw new BitforbitError("input", `${path}: identities: ${anybody.name} would be anybody of ${anybody.issuer}`, {
    hint: "give it a subject, a repository or a workflow",
  });
}

/** Witnesses of whom none must sign prove no time; more than there are cannot sign. */
function checkWitnesses(witnesses: readonly string[], quorum: number | undefined, path: string): void {
  if (quorum === undefined && witnesses.length === 0) return;
  if (quorum !== undefined && quorum <= witnesses.length) return;
  throw new BitforbitError(
    "input",
    quorum === undefined
      ? `${path}: witnesses: ${witnesses.length} are named, and quorum.witnesses does not say how many must sign`
      : `${path}: quorum.witnesses: ${quorum} of ${witnesses.length} witnesses cannot sign`,
    {
      hint: "list their keys in witnesses ('bitforbit witness key' prints one), and in quorum.witnesses how many must sign",
    },
  );
}

/** Without what is undefined, so that it can be written and digested as it is. */
function plain(policy: object): Policy {
  return JSON.parse(JSON.stringify(policy)) as Policy;
}

/** A threshold that cannot be reached, or keys that nobody has, are mistakes that would deny everything. */
function checkRebuilders(
  { rebuilders }: Pick<Demanded, "rebuilders">,
  keys: readonly { name: string }[],
  path: string,
): void {
  if (rebuilders === undefined) return;
  const { threshold, operators } = rebuilders;
  const names = operators.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    throw new BitforbitError("input", `${path}: rebuilders: the operator ${twice} is named twice`);
  if (threshold > operators.length) {
    throw new BitforbitError(
      "input",
      `${path}: rebuilders: ${threshold} of ${operators.length} operators cannot agree`,
    );
  }
  const all = operators.flatMap((operator) => operator.keys);
  const unknown = all.find((name) => !keys.some((key) => key.name === name));
  if (unknown !== undefined) throw new BitforbitError("input", `${path}: rebuilders: no key is called ${unknown}`);
  const shared = all.find((name, at) => all.indexOf(name) !== at);
  if (shared !== undefined)
    throw new BitforbitError("input", `${path}: rebuilders: the key ${shared} has two operators`);
}

/**
 * The policy that `source` says, with what it leaves unsaid, as JSON that
 * `parsePolicy` reads as the same policy: schemas/policy.schema.json. Throws as `parsePolicy` does.
 */
export function policyDocument(source: string, path: string): JsonObject {
  makeTrust(readPolicy(source, path).input);
  const { expires, keys, ...rest } = read(source, path);
  const document = {
    ...rest,
    ...(expires === undefined ? {} : { expires: time(expires) }),
    keys: keys.map(({ validUntil, ...key }) => ({
      ...key,
      ...(validUntil === undefined ? {} : { validUntil: time(validUntil) }),
    })),
  };
  return JSON.parse(JSON.stringify(document)) as JsonObject;
}

const time = (value: string | Date): string => new Date(value).toISOString();

type Demanded = v.InferOutput<typeof Shape>;

function read(source: string, path: string): Demanded {
  if (source.length > MAX_TEXT) throw new BitforbitError("limit", `${path} is larger than a policy`);
  const parsed = v.safeParse(
    Shape,
    source.trimStart().startsWith("{") ? parseJson(source, path) : readToml(source, path),
  );
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const field = v.getDotPath(issue) ?? "the policy";
  throw new BitforbitError("input", `${path}: ${field}: ${issue.message}`, {
    hint: PARTS,
  });
}

const PARTS =
  "a policy has version, builders, sources, and keys and logs, keyRings, or identities and a trustedRoot; 'bitforbit policy show' prints one to start from";

/** The policy of a home that trusts itself only: its key, its log, its builder; everything is demanded. */
export function defaultPolicy(home: {
  artifactKey: PublicKey;
  log: { origin: string; publicKeyPem: string };
  builder: string;
  sources?: readonly string[];
}): { policy: Policy; trust: Trust } {
  return {
    policy: wholePolicy(home.builder, home.sources),
    trust: makeTrust({
      keys: [{ name: "this home's key", publicKeyPem: home.artifactKey.pem }],
      logs: [home.log],
    }),
  };
}

/** Everything is demanded of one builder. */
export function wholePolicy(builder: string, sources: readonly string[] = ["*"]): Policy {
  return { builders: [builder], sources, requireCanonical: true, requireSbom: true, requireReproduced: true };
}

/** The TOML text of a policy, to hand to others: `parsePolicy` reads it back. */
export function policyToml(policy: Policy, trust: TrustInput): string {
  const { expires } = trust;
  return stringify({
    version: 1,
    ...policy,
    ...(expires === undefined ? {} : { expires: new Date(expires).toISOString() }),
    keys: trust.keys.map(({ name, publicKeyPem, validUntil, revoked }) => ({
      name,
      publicKey: publicKeyPem,
      ...(validUntil === undefined ? {} : { validUntil: new Date(validUntil).toISOString() }),
      ...(revoked === true ? { revoked } : {}),
    })),
    logs: trust.logs.map(({ origin, publicKeyPem }) => ({ origin, publicKey: publicKeyPem })),
    ...(trust.witnesses === undefined ? {} : { witnesses: [...trust.witnesses] }),
  });
}

function readToml(source: string, path: string): unknown {
  try {
    return parse(source);
  } catch (error) {
    const { line, column } = error as { line?: number; column?: number };
    const where = line === undefined ? "" : `:${line}:${column ?? 1}`;
    throw new BitforbitError("input", `cannot parse ${path}${where}: ${(error as Error).message.split("\n")[0]}`, {
      cause: error,
    });
  }
}

function instant(value: string | Date, path: string, field: string): number {
  const text = typeof value === "string" ? value : value.toISOString();
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?Z$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new BitforbitError("input", `${path}: ${field}: ${JSON.stringify(text)} is not a time`, {
    hint: 'write it as "2030-01-31T00:00:00Z"',
  });
}
