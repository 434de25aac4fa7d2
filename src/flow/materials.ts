/** What a build was made from, as provenance tells it. */
import { hexOf } from "../digest.ts";
import type { JsonObject } from "../json.ts";
import { environmentWords, type LockedEnvironment, type OciEnvironment } from "../lock/environment.ts";
import type { Material } from "../material.ts";
import { purl } from "../purl.ts";
import type { Prepared } from "./prepare.ts";
import type { MaterialsRead } from "./reads.ts";

/** SLSA resolvedDependencies: the source, the recipe, the lockfiles and all that they pin. */
export function materialsOf({ source, recipeDigest, lock }: Prepared, read: MaterialsRead | undefined): Material[] {
  const commit = source.digest["gitCommit"];
  return [
    {
      kind: "source",
      name: source.name,
      uri: source.uri,
      checksums:
        commit === undefined ? { sha256: source.digest["sha256"] ?? source.treeDigest.slice(7) } : { sha1: commit },
    },
    ...source.submodules.map((module): Material => ({
      kind: "source",
      name: module.path,
      uri: module.uri,
      checksums: { sha1: module.commit },
    })),
    ...(source.patches ?? []).map(({ path, sha256 }): Material => ({
      kind: "patch",
      name: path,
      checksums: { sha256 },
    })),
    { kind: "recipe", name: "bitforbit.toml", checksums: { sha256: recipeDigest.slice(7) } },
    ...environmentMaterials(lock.environment, read),
    ...lock.lockfiles.map(({ path, sha256 }): Material => ({ kind: "lockfile", name: path, checksums: { sha256 } })),
    ...dependenciesRead(lock.materials, read),
  ];
}

/** SLSA internalParameters: what the programs of the build came from. */
export function environmentParameters(environment: LockedEnvironment): JsonObject {
  const note = environmentWords(environment);
  if (environment.type === "host") return { type: "host", pinned: false, note: `environment: ${note}` };
  const { type, root } = environment;
  if (environment.type === "oci") {
    const { image, platform, manifest } = environment;
    return { type, pinned: true, note, image, platform, manifest, root };
  }
  const { suite, components, architecture } = environment;
  return { type, pinned: true, note, suite, components: [...components], architecture, root };
}

/** Dependencies, each with whether the build was seen to read it; as they are where that is not known. */
export function dependenciesRead(materials: readonly Material[], read: MaterialsRead | undefined): Material[] {
  if (read === undefined || read.doubts.length > 0) return [...materials];
  const seen = new Set(read.dependencies.read);
  return materials.map((material) => ({ ...material, read: seen.has(material.purl ?? "") }));
}

/** Each package of the environment, or its image. */
function environmentMaterials(environment: LockedEnvironment, read: MaterialsRead | undefined): Material[] {
  if (environment.type === "host") return [];
  if (environment.type === "oci") return [imageMaterial(environment)];
  const { suite, packages } = environment;
  const told = read !== undefined && read.doubts.length === 0;
  const seen = new Set(read?.environment.read.map((one) => `${one.name} ${one.architecture}`));
  return packages.map(({ name, version, architecture, sha256 }) => ({
    kind: "environment",
    name,
    version,
    purl: purl("deb", "debian", name, version, { arch: architecture, distro: suite }),
    checksums: { sha256 },
    ...(told ? { read: seen.has(`${name} ${architecture}`) } : {}),
  }));
}

/** SLSA internalParameters: the programs that ran. */
export function toolchainParameters(read: MaterialsRead | undefined): JsonObject[] {
  return (read?.tools ?? []).map(({ name, role, path, version, sha256 }) => ({ name, role, path, version, sha256 }));
}

/** purl-spec, type "oci": the last part of the repository's name, the manifest's digest for a version. */
function imageMaterial({ image, manifest, platform }: OciEnvironment): Material {
  const repository = image.replace(/:[^/:]*$/, "");
  const name = (repository.split("/").at(-1) ?? repository).toLowerCase();
  const from = image.startsWith("layout:") ? {} : { repository_url: repository };
  return {
    kind: "environment",
    name: image,
    purl: purl("oci", undefined, name, manifest, { ...from, arch: platform.split("/")[1] }),
    checksums: { sha256: hexOf(manifest) },
  };
}
