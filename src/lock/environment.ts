import type { Digest } from "../digest.ts";

/** A Debian package as it was installed: what apt's index says of it. */
export interface EnvironmentPackage {
  name: string;
  /** With epoch and revision: deb-version(7). */
  version: string;
  /** Debian's word: "amd64", "arm64", "all". */
  architecture: string;
  /** Of the .deb file: 64 hexadecimal digits. */
  sha256: string;
  /** Bytes of the .deb file. */
  size: number;
}

/** A Debian root file system, put together from packages. */
export interface DebianEnvironment {
  type: "debian";
  pinned: true;
  suite: string;
  components: string[];
  architecture: string;
  /** In byte order of name, then architecture. */
  packages: EnvironmentPackage[];
  /** Tree digest of the root: paths, types, modes, link targets, contents; not owners or times. */
  root: Digest;
}

/** A container image's root file system. */
export interface OciEnvironment {
  type: "oci";
  pinned: true;
  /** Reference without digest, as the recipe has it. */
  image: string;
  /** "os/architecture[/variant]". */
  platform: string;
  /** Of the platform's own manifest, not of an index. */
  manifest: Digest;
  /** Of the layers as transferred, lowest first. */
  layers: Digest[];
  /** As in DebianEnvironment. */
  root: Digest;
}

/** What the build's programs come from. `host`: the machine's own file system, which nothing pins. */
export type LockedEnvironment = { type: "host"; pinned: false } | DebianEnvironment | OciEnvironment;

/** In words, for verdicts and pages. */
export function environmentWords(environment: LockedEnvironment): string {
  if (environment.type === "host") return "host, not pinned";
  const root = `root ${environment.root.slice(0, 19)}…`;
  if (environment.type === "oci") {
    return `image ${environment.image}@${environment.manifest.slice(0, 19)}…, ${environment.platform}, ${root}`;
  }
  const { suite, architecture, packages } = environment;
  return `Debian ${suite} ${architecture}, ${packages.length} packages, ${root}`;
}
