/** The first bytes of packages and archives: a file that costs nothing to load, for the registry. */

export function looksLikeBzip2(start: Uint8Array): boolean {
  if (start[0] !== 0x42 || start[1] !== 0x5a || start[2] !== 0x68) return false;
  const [level, first] = [start[3] ?? 0, start[4]];
  return level >= 0x31 && level <= 0x39 && (first === 0x31 || first === 0x17);
}

export function looksLikeLz4(start: Uint8Array): boolean {
  if (start.length < 7) return false;
  const magic = new DataView(start.buffer, start.byteOffset).getUint32(0, true);
  return magic === 0x184d2204 || magic === 0x184c2102;
}

/** It has no magic number: the name tells, or the properties that everybody uses and an unknown size. */
export function looksLikeLzma(start: Uint8Array, name = ""): boolean {
  const [properties = 255] = start;
  if (start.length < 18 || properties >= 225) return false;
  if (/\.(?:lzma|tlz)$/.test(name)) return true;
  const usual = properties === 0x5d && start[1] === 0 && start[2] === 0;
  return usual && start.subarray(5, 13).every((byte) => byte === 0xff) && start[13] === 0;
}

export function looksLikeLzip(start: Uint8Array): boolean {
  return start[0] === 0x4c && start[1] === 0x5a && start[2] === 0x49 && start[3] === 0x50 && (start[4] ?? 255) <= 1;
}

export function looksLikeCompress(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x9d;
}

export function looksLikeCpio(start: Uint8Array): boolean {
  const text = Buffer.from(start.subarray(0, 6)).toString("latin1");
  if (text === "070701" || text === "070702" || text === "070707") return true;
  const little = start[0] === 0xc7 && start[1] === 0x71;
  if (start.length < 28 || (!little && (start[0] !== 0x71 || start[1] !== 0xc7))) return false;
  // Two bytes are no proof: the name has to end where it should.
  const nameSize = new DataView(start.buffer, start.byteOffset, 26).getUint16(20, little);
  return nameSize > 1 && start[26 + nameSize - 1] === 0 && start[26] !== 0;
}

export function looksLikeRpm(start: Uint8Array): boolean {
  return start[0] === 0xed && start[1] === 0xab && start[2] === 0xee && start[3] === 0xdb;
}

const textOf = (start: Uint8Array, length: number): string => Buffer.from(start.subarray(0, length)).toString("latin1");

export function looksLikeDebianPackage(start: Uint8Array): boolean {
  return textOf(start, 21) === "!<arch>\ndebian-binary";
}

/** By the name that such files have, and a first line that is a field. */
export function looksLikeDeb822(start: Uint8Array, name = ""): boolean {
  const text = textOf(start, 256);
  if (/^-----BEGIN PGP SIGNED MESSAGE-----\r?\nHash:[^]*?\n\r?\n[A-Z][\w-]*:/.test(text)) return true;
  const known = /(?:^|\/|_)(?:control|status|Packages|Sources|Release|InRelease)$|\.(?:dsc|changes|buildinfo|sources)$/;
  return known.test(name) && /^(?:#|[A-Za-z][\w-]*:)/.test(text);
}

export function looksLikeChecksumList(start: Uint8Array): boolean {
  const text = textOf(start, 512);
  return (
    /^\\?(?:[0-9a-fA-F]{8}){4,16} [ *][^\0\r\n]/.test(text) || /^[A-Z0-9-]+ \([^\0\r\n]+\) = [0-9a-fA-F]{32}/.test(text)
  );
}

export function looksLikeWheelRecord(start: Uint8Array, name = ""): boolean {
  return /(?:^|\/)RECORD$/.test(name) && /^[^\r\n]+,(?:[A-Za-z0-9_]+=[^,\r\n]*)?,[0-9]*\r?\n/.test(textOf(start, 4096));
}

export function looksLikeJarManifest(start: Uint8Array, name = ""): boolean {
  return (
    /(?:^|\/)(?:MANIFEST\.MF|[^/]+\.SF)$/i.test(name) && /^(?:Manifest|Signature)-Version: ?/i.test(textOf(start, 32))
  );
}

export function looksLikeMo(start: Uint8Array): boolean {
  const text = Buffer.from(start.subarray(0, 4)).toString("hex");
  return text === "de120495" || text === "950412de";
}

export function looksLikePo(start: Uint8Array, name = ""): boolean {
  return /\.pot?$/.test(name) && /^(?:\ufeff|ï»¿)?(?:#|msgid |msgctxt |\s*$)/.test(textOf(start, 64));
}

/** A chunk of binary XML that begins with a pool of strings. */
export function looksLikeAndroidXml(start: Uint8Array): boolean {
  return start[0] === 3 && start[1] === 0 && start[2] === 8 && start[3] === 0 && start[8] === 1 && start[9] === 0;
}

export function looksLikeAndroidResources(start: Uint8Array): boolean {
  return start[0] === 2 && start[1] === 0 && start[2] === 12 && start[3] === 0 && start[12] === 1 && start[13] === 0;
}
