/**
 * A signer whose key lives for one job: a P-256 key made here, and Fulcio's
 * certificate for it (POST /api/v2/signingCert). The private half is in this
 * process's memory and nowhere else.
 */
import { generateKeyPairSync } from "node:crypto";
import { base64, equalBytes, fromBase64, utf8 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { type Certificate, parseCertificate } from "../format/x509.ts";
import { parseSpki } from "../format/spki.ts";
import { isObject, type JsonObject } from "../json.ts";
import { askService, safeAddress, type ServiceOptions } from "./bounded-request.ts";
import type { IdentityToken } from "./identity-token.ts";
import { type Signer, signerOf } from "./signer.ts";

const MAX_CHAIN = 10;

export interface CertifiedSigner {
  signer: Signer;
  /** Of the signer's own key. Whether it is by somebody trusted, the caller must check. */
  certificate: Certificate;
}

/**
 * A new key with a certificate for it by the Fulcio at `address`. Throws `outside`
 * where that fails, refuses, or answers with what is no certificate of this key.
 */
export async function certifiedSigner(
  address: string,
  token: IdentityToken,
  options: ServiceOptions,
): Promise<CertifiedSigner> {
  const what = `the certificate authority ${address}`;
  const base = safeAddress(address, what).href.replace(/\/+$/, "");
  const signer = signerOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey, "the job's own key");
  // What is signed is what the token is about: the authority sees that whoever asks has the key.
  const proof = await signer.sign(utf8(token.subject));
  const body = {
    credentials: { oidcIdentityToken: token.reveal() },
    publicKeyRequest: {
      publicKey: { algorithm: "ECDSA", content: signer.publicKeyPem },
      proofOfPossession: base64(proof),
    },
  };
  const answer = await askService(
    {
      what,
      method: "POST",
      url: `${base}/api/v2/signingCert`,
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(body),
      secrets: token.secrets(),
    },
    options,
  );
  const certificate = leafOf(answer, what);
  if (!equalBytes(certificate.spki, parseSpki(signer.publicKeyPem, "the job's own key").der)) {
    throw new BitforbitError("outside", `${what} answered with a certificate for another key`, {
      hint: "nothing was signed: whoever answers there is no certificate authority, or not this one",
    });
  }
  return { signer, certificate };
}

/** The first certificate of the answer; the others are the authority's, which the trusted root has. */
function leafOf(answer: JsonObject, what: string): Certificate {
  // Without a transparency log, Fulcio calls the same chain by the second name.
  const held = answer["signedCertificateEmbeddedSct"] ?? answer["signedCertificateDetachedSct"];
  const chain = isObject(held) ? held["chain"] : undefined;
  const list = isObject(chain) ? chain["certificates"] : undefined;
  const [first] = Array.isArray(list) && list.length <= MAX_CHAIN ? list : [];
  const block =
    typeof first === "string"
      ? /^\s*-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----\s*$/.exec(first)
      : null;
  try {
    if (block !== null) return parseCertificate(fromBase64((block[1] ?? "").replaceAll(/\s/g, "")), "the certificate");
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    throw new BitforbitError("outside", `${what}: ${error.message}`, { cause: error });
  }
  throw new BitforbitError("outside", `${what} answered without a certificate`);
}
