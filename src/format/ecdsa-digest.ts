/**
 * ECDSA on P-256 where only the digest is there (FIPS 186-5, section 6.4.2):
 * a log is handed digests, and node:crypto verifies messages. The curve's
 * arithmetic is OpenSSL's, through ECDH: u1·G is the public key of u1, and the
 * x of u2·Q the secret shared with Q; which of its two y it has is told by
 * (u2+1)·Q. What is left is one addition of points. Nothing here is secret.
 */
import { createECDH } from "node:crypto";

const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

interface Point {
  x: bigint;
  y: bigint;
}

/** Whether `signature` (DER) over the SHA-256 `digest` is by `point`, 65 bytes, uncompressed. Never throws. */
export function verifyDigest(digest: Uint8Array, signature: Uint8Array, point: Uint8Array): boolean {
  const parsed = parseSignature(signature);
  if (parsed === undefined || digest.length !== 32 || point.length !== 65 || point[0] !== 4) return false;
  const { r, s } = parsed;
  const w = inverse(s, N);
  const u1 = (toInteger(digest) * w) % N;
  const u2 = (r * w) % N;
  try {
    const second = timesPoint(u2, point);
    const sum = u1 === 0n ? second : added(timesBase(u1), second);
    return sum !== undefined && sum.x % N === r;
  } catch {
    return false; // not a point of the curve
  }
}

/** SEQUENCE { INTEGER r, INTEGER s }, each in its one shortest form, from 1 to N − 1. */
function parseSignature(der: Uint8Array): { r: bigint; s: bigint } | undefined {
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 72) return undefined;
  const r = integerAt(der, 2);
  const s = r === undefined ? undefined : integerAt(der, r.end);
  if (r === undefined || s === undefined || s.end !== der.length) return undefined;
  return { r: r.value, s: s.value };
}

function integerAt(der: Uint8Array, at: number): { value: bigint; end: number } | undefined {
  const length = der[at + 1] ?? 0;
  const bytes = der.subarray(at + 2, at + 2 + length);
  const [first = 0, next = 0] = bytes;
  if (der[at] !== 0x02 || length === 0 || bytes.length !== length || first > 0x7f) return undefined;
  if (first === 0 && next < 0x80) return undefined;
  const value = toInteger(bytes);
  return value >= 1n && value < N ? { value, end: at + 2 + length } : undefined;
}

function timesBase(scalar: bigint): Point {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(toBytes(scalar));
  return toPoint(ecdh.getPublicKey());
}

/** scalar · Q, for a Q that OpenSSL checks to be on the curve. Throws otherwise. */
function timesPoint(scalar: bigint, point: Uint8Array): Point {
  const q = toPoint(point);
  if (scalar === 1n) return q;
  if (scalar === N - 1n) return { x: q.x, y: P - q.y };
  const x = sharedX(scalar, point);
  const y = power((x * x * x - 3n * x + B) % P, (P + 1n) / 4n);
  // x((u2 + 1)·Q) belongs to one of the two.
  const next = sharedX(scalar + 1n, point);
  return added({ x, y }, q)?.x === next ? { x, y } : { x, y: P - y };
}

function sharedX(scalar: bigint, point: Uint8Array): bigint {
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(toBytes(scalar));
  return toInteger(ecdh.computeSecret(point));
}

/** The sum of two points of different x; undefined otherwise, which no signature that was made in earnest meets. */
function added(a: Point, b: Point): Point | undefined {
  const run = modulo(b.x - a.x);
  if (run === 0n) return undefined;
  const slope = modulo((b.y - a.y) * inverse(run, P));
  const x = modulo(slope * slope - a.x - b.x);
  return { x, y: modulo(slope * (a.x - x) - a.y) };
}

const modulo = (value: bigint): bigint => ((value % P) + P) % P;

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, u, v] = [value % modulus, modulus, 1n, 0n];
  while (a !== 0n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [u, v] = [v - quotient * u, u];
  }
  return ((v % modulus) + modulus) % modulus;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = ((base % P) + P) % P;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

function toPoint(bytes: Uint8Array): Point {
  return { x: toInteger(bytes.subarray(1, 33)), y: toInteger(bytes.subarray(33, 65)) };
}

function toInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")}`);
}

function toBytes(value: bigint): Uint8Array {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex");
}
