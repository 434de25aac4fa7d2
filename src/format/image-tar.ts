import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../json.ts";
import type { Part } from "./part.ts";
import { tarParts } from "./tar-parts.ts";
import { type TarEntry, tarEntries } from "./tar.ts";

/**
 * A tar of a container image: an OCI image layout (image-spec 1.1, "Image
 * Layout") or what `docker save` writes. Its members are named by digests, so
 * that a changed layer has another name; here they are keyed by what they are:
 * "manifest", "config", "layer 3", with the platform where there are several.
 */
const MAX_MEMBERS = 10_000;
const MAX_DOCUMENT = 8 << 20;
const MAX_DOCUMENTS = 500;

/** Throws `input` for a tar that is no image. */
export function imageTarParts(source: ByteSource): Iterable<Part> {
  const members = new Map<string, TarEntry>();
  for (const entry of tarEntries(source)) {
    if (members.size >= MAX_MEMBERS) throw noImage(source, `over ${MAX_MEMBERS} members`);
    members.set(plainName(entry.name), entry);
  }
  const read = (name: string): JsonObject | Json[] | undefined => {
    const entry = members.get(name);
    if (entry === undefined || entry.size > MAX_DOCUMENT) return undefined;
    try {
      const value = parseJson(source.read(entry.dataOffset, entry.size).slice(), name);
      return isObject(value) || Array.isArray(value) ? value : undefined;
    } catch (error) {
      if (error instanceof BitforbitError) return undefined;
      throw error;
    }
  };
  const roles = rolesOf(read, [...members.keys()]);
  if (roles.size === 0) throw noImage(source, "neither index.json nor manifest.json lists an image");
  return renamed(tarParts(source), roles);
}

function noImage(source: ByteSource, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: container image, offset 0: ${what}`);
}

function plainName(name: string): string {
  return name.replace(/^\.\//, "");
}

function* renamed(parts: Iterable<Part>, roles: ReadonlyMap<string, string>): Generator<Part> {
  for (const part of parts) {
    const role = roles.get(plainName(part.key));
    const inside = part.parts;
    if (role === undefined || inside === undefined) yield part;
    else yield { ...part, key: role, parts: () => withoutNames(inside()) };
  }
}

/** The name of a member is the digest of what it holds: it follows. */
function* withoutNames(parts: Iterable<Part>): Generator<Part> {
  for (const part of parts) {
    const name = part.kind === "field" && (part.label === "name" || part.label === "link");
    yield name ? { key: part.key, kind: "derived", offset: part.offset, length: part.length } : part;
  }
}

type Read = (name: string) => JsonObject | Json[] | undefined;

interface Found {
  label: string;
  manifest: string;
  config: string | undefined;
  layers: string[];
}

/** What each member is. The first says it, where a blob is used twice. */
function rolesOf(read: Read, names: readonly string[]): Map<string, string> {
  const roles = new Map<string, string>();
  const add = (name: string | undefined, role: string): void => {
    if (name !== undefined && !roles.has(name)) roles.set(name, role);
  };
  const found = inLayout(read, add);
  if (found.length === 0) {
    dockerRoles(read, add, names);
    return roles;
  }
  for (const { label, manifest, config, layers } of found) {
    const of = found.length > 1 ? ` for ${label}` : "";
    add(manifest, `manifest${of}`);
    add(config, `config${of}`);
    for (const [at, layer] of layers.entries()) add(layer, `layer ${at + 1}${of}`);
  }
  return roles;
}

function inLayout(read: Read, add: (name: string | undefined, role: string) => void): Found[] {
  const found: Found[] = [];
  const queue: { descriptor: JsonObject; depth: number }[] = [];
  const enqueue = (index: JsonObject | Json[] | undefined, depth: number): void => {
    const list = isObject(index) ? index["manifests"] : undefined;
    for (const descriptor of Array.isArray(list) ? list : [])
      if (isObject(descriptor)) queue.push({ descriptor, depth });
  };
  enqueue(read("index.json"), 0);
  let documents = 0;
  for (let next = queue.shift(); next !== undefined && documents < MAX_DOCUMENTS; next = queue.shift()) {
    const name = blobName(next.descriptor);
    const document = name === undefined ? undefined : read(name);
    documents++;
    if (name === undefined || !isObject(document)) continue;
    if ("manifests" in document) {
      add(name, "index");
      if (next.depth < 4) enqueue(document, next.depth + 1);
      continue;
    }
    const layers = Array.isArray(document["layers"]) ? document["layers"].slice(0, 1000) : [];
    found.push({
      label: labelOf(next.descriptor),
      manifest: name,
      config: blobName(document["config"]),
      layers: layers.flatMap((layer) => blobName(layer) ?? []),
    });
  }
  return found;
}

function blobName(descriptor: Json | undefined): string | undefined {
  const digest = isObject(descriptor) ? descriptor["digest"] : undefined;
  const hex = typeof digest === "string" ? /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1] : undefined;
  return hex === undefined ? undefined : `blobs/sha256/${hex}`;
}

function labelOf(descriptor: JsonObject): string {
  const { platform, annotations } = descriptor;
  const tag = isObject(annotations) ? annotations["org.opencontainers.image.ref.name"] : undefined;
  if (isObject(platform)) {
    return ["os", "architecture", "variant"].flatMap((key) => platform[key] ?? []).join("/");
  }
  return typeof tag === "string" ? tag : "another";
}

/** manifest.json of `docker save`: paths of the configuration and of the layers; and folders of version 1. */
function dockerRoles(
  read: Read,
  add: (name: string | undefined, role: string) => void,
  names: readonly string[],
): void {
  const list = read("manifest.json");
  const images = Array.isArray(list) ? list.filter(isObject).slice(0, MAX_DOCUMENTS) : [];
  for (const [at, image] of images.entries()) {
    const of = images.length > 1 ? ` of image ${at + 1}` : "";
    const { Config: config, Layers: layers } = image;
    if (typeof config === "string") add(config, `config${of}`);
    for (const [place, layer] of (Array.isArray(layers) ? layers : []).entries()) {
      if (typeof layer === "string") add(layer, `layer ${place + 1}${of}`);
    }
  }
  if (images.length === 0) return;
  // What version 1 kept for each layer, in the order in which it stands.
  const folders = new Map<string, number>();
  for (const name of names) {
    const match = /^([0-9a-f]{64})\/(layer\.tar|json|VERSION)?$/.exec(name);
    if (match === null) continue;
    const folder = match[1] ?? "";
    const place = folders.get(folder) ?? folders.size + 1;
    folders.set(folder, place);
    add(name, `${match[2] ?? "folder"} of version 1, layer ${place}`);
  }
}
