import type { CauseName } from "../world.ts";

/** A cause that no world of ours varies, and how it is known nevertheless. */
export interface NotVaried {
  name: CauseName;
  /** Why it is not varied, and what holds it still instead. */
  why: string;
  /** How it is told when two builds differ in it. */
  known: string;
  remedy: string;
}

export const notVaried: readonly NotVaried[] = [
  {
    name: "network",
    why: "No world has a network: what a build asks for is answered from the lock's recording, or not at all.",
    known: "A build that needs it fails in every world, and the failure names what was asked for.",
    remedy: 'lock what the build fetches (a lockfile, `fetch` in the recipe, `network = "replay"`)',
  },
  {
    name: "toolchain",
    why: "Every world has the same tools, by digest where the environment is pinned.",
    known:
      "Two artifacts of different origin: producer strings, `.comment`, another deflate stream of the same content. `read` in the verdict names the tools.",
    remedy: 'pin the environment (`type = "debian"` or an image by digest)',
  },
  {
    name: "archive-metadata",
    why: "It is another cause's (clock, user, umask, order) or another tool's: the worlds have the same tools.",
    known:
      "The field that differs: the system that packed, the version that it takes to unpack, extra fields and flags.",
    remedy: "pack with fixed settings (zip -X, gzip -n, tar --format=ustar --sort=name), by a pinned tool",
  },
  {
    name: "signature",
    why: "Keys are not given to builds: one that signs makes a key of its own, or brings one with the source.",
    known: "The part that differs: a signature, a key or a certificate of PGP, DER, APK, Mach-O or JAR.",
    remedy: "sign what was built afterwards, beside it (a detached signature, an attestation), and never in the build",
  },
];

/** Fields that archivers and compressors write about themselves. */
const ARCHIVER =
  /^(?:os|xfl|flags|method|version|version-(?:made|needed)|made by|internal|external|extra(?:-.*)?|comment|format|magic|extension header|trailing|gap)$/;

/** Formats' own names for signatures and keys. */
const SIGNED =
  /^(?:signature|signatures|public key|certificate|unhashed|hash begins with|issuer|signing-time|apk signing block)$/i;
const SIGNED_FILE = /(?:^|\/)META-INF\/[^/]+\.(?:SF|RSA|DSA|EC)$|\.(?:sig|asc|p7s|p7b|jks|keystore|minisig)$/;

/** How compilers, packers and generators sign what they made, each with its version. */
const PRODUCER =
  /^(?:GCC: \(|GNU (?:AS|C|C\+\+|Fortran)\d* |clang version |rustc version |go1\.\d|Linker: |Generator: |Created-By: |Build-Jdk(?:-Spec)?: |Build-Tool|Bnd-LastModified: |Tool: |Archiver-Version: |Producer: )/;

/** An octal mode without the bits that say what kind of file it is, which some archivers leave out. */
const permissions = (mode: string): number => Number.parseInt(mode, 8) & 0o7777;

/**
 * What a leaf that bears no watermark is by its place alone: `path` as the
 * difference has it, from the artifact on, and the field, where it is one;
 * `shown`: what stands there on both sides.
 * Undefined for what may be anything.
 */
export function knownByPlace(
  path: readonly string[],
  field: string | undefined,
  shown: { a: string; b: string } = { a: "", b: "" },
): "signature" | "archive-metadata" | "toolchain" | undefined {
  const steps = field === undefined ? path : [...path, field];
  if (steps.some((step, index) => SIGNED_FILE.test(step) || (index > 0 && SIGNED.test(step)))) return "signature";
  const signed = PRODUCER.exec(shown.a)?.[0];
  if (signed !== undefined && PRODUCER.exec(shown.b)?.[0] === signed) return "toolchain";
  if (field === "mode" && permissions(shown.a) === permissions(shown.b)) return "archive-metadata";
  return field !== undefined && ARCHIVER.test(field) ? "archive-metadata" : undefined;
}
