import { BitforbitError } from "../errors.ts";

/** For what machine an image is: image-spec, "Image Index", `platform`. */
export interface Platform {
  os: string;
  /** Go's word: "amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x". */
  architecture: string;
  /** "v7", "v8"; undefined when none is said. */
  variant: string | undefined;
}

/** Node's words for machines, where Go's differ. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };

/** `os/architecture[/variant]`. Throws `input`. */
export function parsePlatform(text: string): Platform {
  const match = /^([a-z0-9]{1,32})\/([a-z0-9_]{1,32})(?:\/([a-z0-9.]{1,32}))?$/.exec(text);
  if (match === null) {
    throw new BitforbitError("input", `not a platform: ${JSON.stringify(text.slice(0, 100))}`, {
      hint: "a platform is os/architecture or os/architecture/variant, as linux/amd64 or linux/arm/v7",
    });
  }
  return { os: match[1] ?? "", architecture: match[2] ?? "", variant: match[3] };
}

export function platformText(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** The platform of this machine, for which builds run. */
export function machinePlatform(arch: string = process.arch): Platform {
  return { os: "linux", architecture: ARCHITECTURES[arch] ?? arch, variant: undefined };
}

/** 64-bit ARM is v8 whether one says so or not. */
function variantOf(platform: Platform): string | undefined {
  return platform.architecture === "arm64" && platform.variant === "v8" ? undefined : platform.variant;
}

function isSame(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.architecture === b.architecture && variantOf(a) === variantOf(b);
}

/** Whether an image for `offered` is what was asked for by `wanted`: a variant that was not asked for may be any. */
export function satisfies(offered: Platform, wanted: Platform): boolean {
  if (variantOf(wanted) !== undefined) return isSame(offered, wanted);
  return offered.os === wanted.os && offered.architecture === wanted.architecture;
}

/**
 * The one of `offers` that is for `wanted`. Throws `input` when there is none,
 * saying which there are, or when several variants fit and none was asked for.
 */
export function choosePlatform<T extends { platform: Platform | undefined }>(
  offers: readonly T[],
  wanted: Platform,
  what: string,
): T {
  const fitting = offers.filter(({ platform }) => platform !== undefined && satisfies(platform, wanted));
  const exact = fitting.filter(({ platform }) => platform !== undefined && isSame(platform, wanted));
  const [first, second] = exact.length > 0 ? exact : fitting;
  if (first !== undefined && (second === undefined || exact.length > 0)) return first;
  const listed = (list: readonly T[]): string => {
    const texts = list.flatMap(({ platform }) => (platform === undefined ? [] : [platformText(platform)]));
    return [...new Set(texts.filter((text) => text !== "unknown/unknown"))].slice(0, 20).join(", ");
  };
  if (first !== undefined) {
    throw new BitforbitError("input", `${what}: several images are for ${platformText(wanted)}: ${listed(fitting)}`, {
      hint: "name the variant in the recipe's platform",
    });
  }
  throw new BitforbitError("input", `${what} has no image for ${platformText(wanted)}`, {
    hint: `it is there for: ${listed(offers) || "no platform at all"}`,
  });
}
