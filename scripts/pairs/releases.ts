/**
 * What the field compares: two builds of the size of a release, as they were published. Debian's are the two newest
 * that its archive has of a package (the release's and the security update's); the registries' two versions that
 * follow one another. Nothing is planted, and none is left out for how long it takes.
 */
import { join } from "node:path";
import { copy, found, inScratch, type Pair, run } from "./workshop.ts";
import { maven, npm, pip, published } from "./published.ts";

/** The package's two newest versions, the older one first. */
function versionsOf(name: string): [string, string] {
  const lines = run("apt-cache", ["madison", name]).toString().split("\n");
  const versions = [...new Set(lines.map((line) => line.split("|")[1]?.trim() ?? "").filter((word) => word !== ""))];
  const [newest, before] = versions;
  if (newest === undefined || before === undefined) throw new Error(`the archive has one version of ${name} today`);
  return [before, newest];
}

/** `inside`: instead of the package, a file that it holds. */
function debian(name: string, what: string, inside?: { name: string; file: string; path: string }): Pair {
  return {
    name: inside?.name ?? `debian-${name}`,
    what: `${what}: the two newest builds in the archive`,
    file: inside?.file ?? `${name}.deb`,
    make: (a, b) => {
      for (const [at, side] of [a, b].entries()) {
        inScratch((folder) => {
          // apt fetches as a user of its own where it can; into a folder of ours it cannot, and warns
          run(
            "apt-get",
            ["-qq", "-o", "APT::Sandbox::User=root", "download", `${name}=${versionsOf(name)[at] ?? ""}`],
            {
              cwd: folder,
            },
          );
          const deb = found(folder, /\.deb$/);
          if (inside === undefined) return copy(deb, side);
          const tree = join(folder, "tree");
          run("dpkg-deb", ["--extract", deb, tree]);
          copy(join(tree, inside.path), side);
        });
      }
    },
  };
}

const firmware = { name: "firmware-ovmf", file: "OVMF_CODE_4M.fd", path: "usr/share/OVMF/OVMF_CODE_4M.fd" };
const rescue = "usr/lib/grub-rescue/grub-rescue-cdrom.iso";

export const RELEASES: readonly Pair[] = [
  debian("libc6", "the C library"),
  debian("openssl", "a program and its documentation"),
  debian("git", "two hundred programs"),
  debian("perl-base", "an interpreter and its modules"),
  debian("libpython3.11-stdlib", "a library of Python sources"),
  debian("php8.2-cli", "one large program"),
  debian("samba-libs", "two hundred shared libraries"),
  debian("postgresql-15", "a database's programs and catalogues"),
  debian("ovmf", "firmware in disk images"),
  debian("ovmf", "a firmware image of UEFI", firmware),
  debian("grub-rescue-pc", "a bootable ISO image", {
    name: "iso-grub-rescue",
    file: "grub-rescue-cdrom.iso",
    path: rescue,
  }),
  ...[
    {
      name: "pypi-numpy",
      what: "wheel with native code",
      versions: ["2.2.5", "2.2.6"] as const,
      fetch: pip("numpy", "wheel"),
      file: "numpy.whl",
    },
    {
      name: "npm-typescript",
      what: "npm",
      versions: ["5.9.2", "5.9.3"] as const,
      fetch: npm("typescript"),
      file: "typescript.tgz",
    },
    {
      name: "npm-esbuild",
      what: "npm with a program written in Go",
      versions: ["0.28.1", "0.28.2"] as const,
      fetch: npm("@esbuild/linux-x64"),
      file: "esbuild.tgz",
    },
    {
      name: "maven-scala",
      what: "jar",
      versions: ["2.13.15", "2.13.16"] as const,
      fetch: maven("org.scala-lang", "scala-library"),
      file: "scala-library.jar",
    },
    {
      name: "maven-guava",
      what: "jar",
      versions: ["33.4.7-jre", "33.4.8-jre"] as const,
      fetch: maven("com.google.guava", "guava"),
      file: "guava.jar",
    },
  ].map(published),
];
