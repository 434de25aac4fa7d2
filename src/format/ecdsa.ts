/**
 * Verifying ECDSA on P-256 (FIPS 186-5, section 6.4.2) from a digest: node's
 * crypto takes the message only, and a verifier may have nothing but an
 * artifact's digest. Public values only, so its timing gives nothing away; some
 * milliseconds a signature.
 */
import { BitforbitError } from "../errors.ts";
import { DerReader, SEQUENCE } from "./der-read.ts";

const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const G: Point = {
  x: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  y: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
  z: 1n,
};

/** Jacobian coordinates: x/z², y/z³; z = 0 is the point at infinity. */
interface Point {
  x: bigint;
  y: bigint;
  z: bigint;
}

/** `key`: the 65 bytes of an uncompressed point; `digest`: 32 bytes; `signature`: DER. Never throws. */
export function verifyDigest(digest: Uint8Array, signature: Uint8Array, key: Uint8Array): boolean {
  const pair = parseSignature(signature);
  if (pair === undefined || digest.length !== 32 || key.length !== 65 || key[0] !== 4) return false;
  const point: Point = { x: bigint(key.subarray(1, 33)), y: bigint(key.subarray(33)), z: 1n };
  if (point.x >= P || point.y >= P || mod(point.y ** 2n - point.x ** 3n + 3n * point.x - B, P) !== 0n) return false;
  const [r, s] = pair;
  const w = inverse(s, N);
  const sum = twoMultiples(mod(bigint(digest) * w, N), mod(r * w, N), point);
  if (sum.z === 0n) return false;
  const inverted = inverse(sum.z, P);
  return mod(mod(sum.x * inverted * inverted, P), N) === r;
}

function parseSignature(der: Uint8Array): readonly [bigint, bigint] | undefined {
  try {
    const outer = new DerReader(der, "a signature");
    const pair = outer.enter(SEQUENCE);
    outer.finish();
    const [r, s] = [pair.integer(), pair.integer()];
    pair.finish();
    if ((r[0] ?? 0) >= 0x80 || (s[0] ?? 0) >= 0x80 || r.length > 33 || s.length > 33) return undefined;
    const numbers = [bigint(r), bigint(s)] as const;
    return numbers.every((value) => value > 0n && value < N) ? numbers : undefined;
  } catch (error) {
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}

/** a·G + b·key, both scalars at once from their highest bits. */
function twoMultiples(a: bigint, b: bigint, key: Point): Point {
  const both = add(G, key);
  let sum: Point = { x: 1n, y: 1n, z: 0n };
  for (let bit = 255n; bit >= 0n; bit--) {
    sum = double(sum);
    const which = ((a >> bit) & 1n) | (((b >> bit) & 1n) << 1n);
    if (which !== 0n) sum = add(sum, which === 1n ? G : which === 2n ? key : both);
  }
  return sum;
}

function double({ x, y, z }: Point): Point {
  if (z === 0n || y === 0n) return { x: 1n, y: 1n, z: 0n };
  const delta = mod(z * z, P);
  const gamma = mod(y * y, P);
  const beta = mod(x * gamma, P);
  const alpha = mod(3n * (x - delta) * (x + delta), P);
  const doubledX = mod(alpha * alpha - 8n * beta, P);
  return {
    x: doubledX,
    y: mod(alpha * (4n * beta - doubledX) - 8n * gamma * gamma, P),
    z: mod((y + z) ** 2n - gamma - delta, P),
  };
}

function add(one: Point, two: Point): Point {
  if (one.z === 0n) return two;
  if (two.z === 0n) return one;
  const [oneZ, twoZ] = [mod(one.z * one.z, P), mod(two.z * two.z, P)];
  const [oneX, twoX] = [mod(one.x * twoZ, P), mod(two.x * oneZ, P)];
  const [oneY, twoY] = [mod(one.y * twoZ * two.z, P), mod(two.y * oneZ * one.z, P)];
  if (oneX === twoX) return oneY === twoY ? double(one) : { x: 1n, y: 1n, z: 0n };
  const h = mod(twoX - oneX, P);
  const r = mod(twoY - oneY, P);
  const h2 = mod(h * h, P);
  const h3 = mod(h2 * h, P);
  const v = mod(oneX * h2, P);
  const x = mod(r * r - h3 - 2n * v, P);
  return { x, y: mod(r * (v - x) - oneY * h3, P), z: mod(one.z * two.z * h, P) };
}

function mod(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

/** By the extended Euclidean algorithm; `value` is not 0 modulo the prime. */
function inverse(value: bigint, prime: bigint): bigint {
  let [low, high] = [mod(value, prime), prime];
  let [factor, other] = [1n, 0n];
  while (low > 1n) {
    const quotient = high / low;
    [low, high] = [high - quotient * low, low];
    [factor, other] = [other - quotient * factor, factor];
  }
  return mod(factor, prime);
}

function bigint(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);
}
