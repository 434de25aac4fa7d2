import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { openSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { looksLikeImageTar } from "../format/image-magic.ts";
import type { Reference } from "../oci/reference.ts";

const MAX_MEMBERS = 10_000;

/** What an input is, told by what lies there and, where nothing does, by syntax. */
export type ImageInput =
  | { type: "registry"; reference: Reference & { type: "registry" } }
  | { type: "layout"; path: string; reference: (Reference & { type: "layout" }) | undefined }
  | { type: "archive"; path: string };

/**
 * The image that `text` names; undefined when it is a file or folder of
 * another kind, or no reference. A file of that name is always the file.
 */
export async function imageInput(text: string): Promise<ImageInput | undefined> {
  const there = statSync(text, { throwIfNoEntry: false });
  if (there?.isDirectory() === true) {
    return existsSync(join(text, "oci-layout")) ? { type: "layout", path: text, reference: undefined } : undefined;
  }
  if (there !== undefined)
    return there.isFile() && (await isImageArchive(text)) ? { type: "archive", path: text } : undefined;
  const archive = /^(?:docker-archive|oci-archive):(.+)$/s.exec(text)?.[1];
  if (archive !== undefined) return { type: "archive", path: archive };
  // Loaded only when nothing of that name is there: files must be compared without delay.
  const { parseReference } = await import("../oci/reference.ts");
  const layout = /^(?:oci|layout):(.+)$/s.exec(text)?.[1];
  if (layout !== undefined) {
    const reference = parseReference(`layout:${layout}`);
    return reference.type === "layout" ? { type: "layout", path: reference.path, reference } : undefined;
  }
  const named = /^docker:(?:\/\/)?(.+)$/s.exec(text)?.[1];
  if (named === undefined && !/^[^/]+[.:][^/]*\/.+[:@][^/]+$|^localhost\/.+[:@][^/]+$/.test(text)) return undefined;
  try {
    const reference = parseReference(named ?? text);
    return reference.type === "registry" ? { type: "registry", reference } : undefined;
  } catch (error) {
    // A path that is not there looks much the same: it is told as such.
    if (named === undefined && error instanceof BitforbitError) return undefined;
    throw error;
  }
}

/** Members of images' archives; a tar with others is a tar. */
const MEMBER =
  /^(?:\.\/)?(?:blobs\/?|blobs\/sha256\/?|blobs\/sha256\/[0-9a-f]{64}|oci-layout|index\.json|manifest\.json|repositories|[0-9a-f]{64}\.(?:json|tar)|[0-9a-f]{64}(?:\/(?:layer\.tar|json|VERSION)?)?)?$/;

/** A plain tar with nothing but an image's members. */
async function isImageArchive(path: string): Promise<boolean> {
  const source = openSource(path);
  try {
    if (!looksLikeImageTar(source.read(0, Math.min(source.size, 512)))) return false;
    const { tarEntries } = await import("../format/tar.ts");
    let count = 0;
    let told = false;
    for (const { name } of tarEntries(source)) {
      if (!MEMBER.test(name) || ++count > MAX_MEMBERS) return false;
      told ||= /^(?:\.\/)?(?:oci-layout|manifest\.json)$/.test(name);
    }
    return told;
  } catch (error) {
    if (error instanceof BitforbitError) return false;
    throw error;
  } finally {
    source.close();
  }
}
