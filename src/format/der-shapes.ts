/**
 * What stands where in certificates, requests, revocation lists, keys and
 * signed data: names for the elements of DER, which has none.
 */
export interface Shape {
  /** Members of a SEQUENCE in order. One with a tag that the element does not have was left out. */
  fields?: readonly Field[];
  /** Every element alike: what each is called, and its shape. "OID": by the identifier it begins with. */
  each?: { called: string; shape?: Shape };
  /** A string that holds DER itself. */
  wraps?: Shape;
  /** Its value is not shown. */
  secret?: true;
}

interface Field {
  name: string;
  /** The identifier's byte. */
  tag?: number;
  shape?: Shape;
}

const ANY: Shape = {};
const SECRET: Shape = { secret: true };
const ALGORITHM: Shape = {
  fields: [
    { name: "algorithm", tag: 0x06 },
    { name: "parameters", shape: ANY },
  ],
};
/** SEQUENCE of SET of SEQUENCE of an identifier and a value. */
const NAME: Shape = { each: { called: "", shape: { each: { called: "OID" } } } };
const EXTENSION: Shape = {
  fields: [
    { name: "identifier", tag: 0x06 },
    { name: "critical", tag: 0x01 },
    { name: "value", tag: 0x04, shape: { wraps: ANY } },
  ],
};
const EXTENSIONS: Shape = { each: { called: "", shape: { each: { called: "OID", shape: EXTENSION } } } };
const PUBLIC_KEY: Shape = {
  fields: [
    { name: "algorithm", shape: ALGORITHM },
    { name: "key", tag: 0x03 },
  ],
};
const TIMES: Shape = { fields: [{ name: "notBefore" }, { name: "notAfter" }] };
const ATTRIBUTES: Shape = { each: { called: "OID" } };

export const CERTIFICATE: Shape = {
  fields: [
    {
      name: "",
      shape: {
        fields: [
          { name: "version", tag: 0xa0 },
          { name: "serialNumber", tag: 0x02 },
          { name: "signature algorithm", tag: 0x30, shape: ALGORITHM },
          { name: "issuer", tag: 0x30, shape: NAME },
          { name: "validity", tag: 0x30, shape: TIMES },
          { name: "subject", tag: 0x30, shape: NAME },
          { name: "public key", tag: 0x30, shape: PUBLIC_KEY },
          { name: "issuerUniqueID", tag: 0x81 },
          { name: "subjectUniqueID", tag: 0x82 },
          { name: "extensions", tag: 0xa3, shape: EXTENSIONS },
        ],
      },
    },
    { name: "signatureAlgorithm", tag: 0x30, shape: ALGORITHM },
    { name: "signature", tag: 0x03 },
  ],
};

export const REQUEST: Shape = {
  fields: [
    {
      name: "",
      shape: {
        fields: [
          { name: "version", tag: 0x02 },
          { name: "subject", tag: 0x30, shape: NAME },
          { name: "public key", tag: 0x30, shape: PUBLIC_KEY },
          { name: "attributes", tag: 0xa0, shape: ATTRIBUTES },
        ],
      },
    },
    { name: "signatureAlgorithm", tag: 0x30, shape: ALGORITHM },
    { name: "signature", tag: 0x03 },
  ],
};

const REVOKED: Shape = {
  fields: [
    { name: "serialNumber", tag: 0x02 },
    { name: "revocationDate" },
    { name: "extensions", tag: 0x30, shape: { each: { called: "OID", shape: EXTENSION } } },
  ],
};

export const REVOCATIONS: Shape = {
  fields: [
    {
      name: "",
      shape: {
        fields: [
          { name: "version", tag: 0x02 },
          { name: "signature algorithm", tag: 0x30, shape: ALGORITHM },
          { name: "issuer", tag: 0x30, shape: NAME },
          { name: "thisUpdate" },
          { name: "nextUpdate", tag: 0x17 },
          { name: "nextUpdate", tag: 0x18 },
          { name: "revoked", tag: 0x30, shape: { each: { called: "first", shape: REVOKED } } },
          { name: "extensions", tag: 0xa0, shape: EXTENSIONS },
        ],
      },
    },
    { name: "signatureAlgorithm", tag: 0x30, shape: ALGORITHM },
    { name: "signature", tag: 0x03 },
  ],
};

const SIGNER: Shape = {
  fields: [
    { name: "version", tag: 0x02 },
    { name: "certificate", tag: 0x30, shape: { fields: [{ name: "issuer", shape: NAME }, { name: "serialNumber" }] } },
    { name: "subjectKeyIdentifier", tag: 0x80 },
    { name: "digestAlgorithm", tag: 0x30, shape: ALGORITHM },
    { name: "signedAttributes", tag: 0xa0, shape: ATTRIBUTES },
    { name: "signatureAlgorithm", tag: 0x30, shape: ALGORITHM },
    { name: "signature", tag: 0x04 },
    { name: "unsignedAttributes", tag: 0xa1, shape: ATTRIBUTES },
  ],
};

const CONTENT: Shape = {
  fields: [
    { name: "contentType", tag: 0x06 },
    { name: "content", tag: 0xa0, shape: { each: { called: "", shape: { wraps: ANY } } } },
  ],
};

const SIGNED: Shape = {
  fields: [
    { name: "version", tag: 0x02 },
    { name: "digestAlgorithms", tag: 0x31, shape: { each: { called: "algorithm", shape: ALGORITHM } } },
    { name: "content", tag: 0x30, shape: CONTENT },
    { name: "certificates", tag: 0xa0, shape: { each: { called: "certificate", shape: CERTIFICATE } } },
    { name: "revocations", tag: 0xa1, shape: { each: { called: "revocations", shape: REVOCATIONS } } },
    { name: "signers", tag: 0x31, shape: { each: { called: "signer", shape: SIGNER } } },
  ],
};

/** PKCS #7 and CMS (RFC 5652): the only content type with a shape of its own is signed data. */
export const SIGNED_DATA: Shape = {
  fields: [
    { name: "contentType", tag: 0x06 },
    { name: "", tag: 0xa0, shape: { each: { called: "", shape: SIGNED } } },
  ],
};

/** PKCS #8 (RFC 5958). */
export const PRIVATE_KEY: Shape = {
  fields: [
    { name: "version", tag: 0x02 },
    { name: "algorithm", tag: 0x30, shape: ALGORITHM },
    { name: "private key", tag: 0x04, shape: SECRET },
    { name: "attributes", tag: 0xa0, shape: ATTRIBUTES },
    { name: "public key", tag: 0x81 },
  ],
};

/** RSAPrivateKey (RFC 8017, A.1.2): the public numbers are shown. */
export const RSA_PRIVATE_KEY: Shape = {
  fields: [
    { name: "version" },
    { name: "modulus" },
    { name: "public exponent" },
    { name: "private exponent", shape: SECRET },
    { name: "prime 1", shape: SECRET },
    { name: "prime 2", shape: SECRET },
    { name: "exponent 1", shape: SECRET },
    { name: "exponent 2", shape: SECRET },
    { name: "coefficient", shape: SECRET },
  ],
};

/** ECPrivateKey (RFC 5915). */
export const EC_PRIVATE_KEY: Shape = {
  fields: [
    { name: "version", tag: 0x02 },
    { name: "private key", tag: 0x04, shape: SECRET },
    { name: "parameters", tag: 0xa0 },
    { name: "public key", tag: 0xa1 },
  ],
};

export const PUBLIC_KEY_INFO: Shape = PUBLIC_KEY;
