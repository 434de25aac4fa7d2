/** The certificate authority of one run: its key is in memory only, and nobody outside of the run's sandbox trusts it. */
import { generateKeyPairSync } from "node:crypto";
import { domainToASCII } from "node:url";
import { isIP } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import { type Clock, systemClock } from "../clock.ts";
import { type Entropy, systemEntropy } from "../entropy.ts";
import { BitforbitError } from "../errors.ts";
import { certificate, certificatePem } from "./certificate.ts";

export interface Authority {
  /** The authority's certificate: PEM text, and DER. */
  pem: string;
  der: Uint8Array;
  /** What a server of that name (or address, without brackets) answers with. Throws `input` for no host's name. */
  contextFor(host: string): SecureContext;
}

const DAY = 86_400_000;
/** Names that one run may ask for: what runs inside is not trusted. */
const MAX_HOSTS = 10_000;

/** Makes an authority. It is good for `days` days, and from a day ago, for clocks that differ. */
export function makeAuthority(options: { days?: number; clock?: Clock; entropy?: Entropy } = {}): Authority {
  const { days = 7, clock = systemClock, entropy = systemEntropy } = options;
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = (key: typeof keys.publicKey): Uint8Array => new Uint8Array(key.export({ type: "spki", format: "der" }));
  const serial = (): Uint8Array => entropy.bytes(16);
  const issuer = `bitforbit, one run only, ${Buffer.from(entropy.bytes(6)).toString("hex")}`;
  const times = { notBefore: clock.now() - DAY, notAfter: clock.now() + days * DAY };
  const issuerKey = { private: keys.privateKey, publicKey: spki(keys.publicKey) };
  const der = certificate({
    serial: serial(),
    issuer,
    subject: issuer,
    ...times,
    publicKey: issuerKey.publicKey,
    issuerKey,
  });
  const serverKey = server.privateKey.export({ type: "pkcs8", format: "pem" });
  const serverSpki = spki(server.publicKey);
  const contexts = new Map<string, SecureContext>();
  const pem = certificatePem(der);
  const contextFor = (host: string): SecureContext => {
    const name = isIP(host) === 0 ? domainToASCII(host) : host;
    if (!isHost(name)) throw new BitforbitError("input", `not a host name: ${JSON.stringify(host.slice(0, 300))}`);
    const known = contexts.get(name);
    if (known !== undefined) return known;
    if (contexts.size >= MAX_HOSTS) throw new BitforbitError("limit", `more than ${MAX_HOSTS} hosts in one run`);
    const fields = { issuer, ...times, publicKey: serverSpki, issuerKey, hosts: [name] };
    const cert = certificatePem(certificate({ serial: serial(), subject: name, ...fields }));
    const context = createSecureContext({ key: serverKey, cert: cert + pem, minVersion: "TLSv1.2" });
    contexts.set(name, context);
    return context;
  };
  return { pem, der, contextFor };
}

function isHost(name: string): boolean {
  return isIP(name) !== 0 || (name.length <= 253 && /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/i.test(name));
}
