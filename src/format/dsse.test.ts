import { strict as assert } from "node:assert";
import test from "node:test";
import { utf8 } from "../bytes.ts";
import { preAuthEncoding } from "./dsse.ts";
import { hashedRekord } from "./hashedrekord.ts";

test("the protocol's own example", () => {
  const encoding = preAuthEncoding("http://example.com/HelloWorld", utf8("hello world"));
  assert.deepEqual(encoding, utf8("DSSEv1 29 http://example.com/HelloWorld 11 hello world"));
});

test("lengths count bytes, not characters, and the payload is binary", () => {
  assert.deepEqual(preAuthEncoding("é", utf8("€𝄞")), utf8("DSSEv1 2 é 7 €𝄞"));
  assert.deepEqual([...preAuthEncoding("", Uint8Array.of(0xff, 0))].slice(-4), [0x32, 0x20, 0xff, 0]);
});

test("a log entry is canonical JSON, keys sorted, without white space", () => {
  const entry = hashedRekord(Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3));
  assert.equal(
    Buffer.from(entry).toString(),
    '{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"AQ=="},' +
      '"signature":{"content":"Ag==","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"Aw=="}}}}}}',
  );
});
