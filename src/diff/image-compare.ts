import { type ByteSource, memorySource } from "../bytesource.ts";
import { unzstd } from "../format/zstd.ts";
import { type Compression, compressionOf } from "../format/magic.ts";
import type { Spooled } from "../format/spool.ts";
import { gunzip } from "../format/gzip.ts";
import type { InflationLimits, Sink } from "../format/inflation.ts";
import { unxz } from "../format/xz.ts";
import { LayerTree } from "../oci/layers.ts";
import { type Comparison, counted, isFull, onlyLeaf } from "./comparison.ts";
import { inflated, withBoth } from "./inflated.ts";
import type { Difference, Leaf } from "./difference.ts";
import { orderLeaf } from "./fields.ts";
import type { Layer, OpenedImage, PlatformImage } from "./image.ts";
import { mergedLeaves } from "./image-merged.ts";

/** What two images' archives amount to: the archives themselves are compared as any other. */
export async function mergedImages(
  comparison: Comparison,
  a: OpenedImage,
  b: OpenedImage,
  path: string[],
): Promise<(Difference | Leaf)[]> {
  const found: (Difference | Leaf)[] = [];
  for (const one of a.images) {
    const other = partnerOf(a.images, b.images, one);
    if (other === undefined || (one.layers.length < 2 && other.layers.length < 2)) continue;
    const at = a.images.length > 1 ? [...path, one.key] : path;
    if (!isFull(comparison)) found.push(...(await merged(comparison, one, other, [...at, "all layers together"])));
  }
  return found;
}

/** Compares two images: what is above them, then those for the same platform. Undefined when they are the same. */
export async function diffImages(
  comparison: Comparison,
  a: OpenedImage,
  b: OpenedImage,
  path: string[],
): Promise<Difference | undefined> {
  const children: (Difference | Leaf)[] = [];
  if (a.kind === b.kind) {
    children.push(...(await documents(comparison, a.index, b.index, "index.json", [...path, "index"])));
  } else children.push(kindLeaf(comparison, a, b, path));
  const several = a.images.length > 1 || b.images.length > 1;
  for (const one of a.images) {
    const other = partnerOf(a.images, b.images, one);
    const at = several ? [...path, one.key] : path;
    if (other === undefined) children.push(onlyImage(comparison, "a", one, path));
    else children.push(...(await imageChildren(comparison, one, other, at)));
  }
  for (const other of b.images) {
    if (partnerOf(b.images, a.images, other) === undefined) children.push(onlyImage(comparison, "b", other, path));
  }
  return children.length === 0 ? undefined : { kind: "node", path, format: "image", children };
}

function kindLeaf(comparison: Comparison, a: OpenedImage, b: OpenedImage, path: string[]): Leaf {
  const note = "stored in different ways: configurations and layers are compared";
  return counted(comparison, { kind: "leaf", path, what: "type", a: a.kind, b: b.kind, ranges: [], note });
}

/** The image for the same platform; one alone on each side belongs together whatever it is for. */
function partnerOf(
  own: readonly PlatformImage[],
  others: readonly PlatformImage[],
  image: PlatformImage,
): PlatformImage | undefined {
  if (own.length === 1 && others.length === 1) return others[0];
  return others.find(({ key }) => key === image.key);
}

function onlyImage(comparison: Comparison, side: "a" | "b", image: PlatformImage, path: string[]): Leaf {
  const shown = `image of ${image.layers.length} layers`;
  const source = memorySource(image.manifest ?? image.config, image.key);
  return onlyLeaf(comparison, side, [...path, image.key], { shown, source });
}

/** Two JSON documents; one that is there on one side only is told. */
async function documents(
  comparison: Comparison,
  a: Uint8Array | undefined,
  b: Uint8Array | undefined,
  name: string,
  path: string[],
): Promise<(Difference | Leaf)[]> {
  if (a === undefined || b === undefined) {
    const [side, bytes] = a === undefined ? (["b", b] as const) : (["a", a] as const);
    if (bytes === undefined) return [];
    const note = "the other input has no document above its manifest";
    return [onlyLeaf(comparison, side, path, { source: memorySource(bytes, name), note })];
  }
  const found = await comparison.descend(memorySource(a, name), memorySource(b, name), path, 1);
  return found === undefined ? [] : [found];
}

async function manifests(
  comparison: Comparison,
  a: Uint8Array | undefined,
  b: Uint8Array | undefined,
  path: string[],
): Promise<(Difference | Leaf)[]> {
  if (a === undefined || b === undefined) return [];
  return await documents(comparison, a, b, "manifest.json", [...path, "manifest"]);
}

async function imageChildren(
  comparison: Comparison,
  a: PlatformImage,
  b: PlatformImage,
  path: string[],
): Promise<(Difference | Leaf)[]> {
  const children = [
    ...(await manifests(comparison, a.manifest, b.manifest, path)),
    ...(await documents(comparison, a.config, b.config, "config.json", [...path, "config"])),
  ];
  const pairs = pairedLayers(a.layers, b.layers);
  const order = orderOf(pairs, path);
  if (order !== undefined) children.push(counted(comparison, order));
  for (const pair of pairs) children.push(...(await layerChildren(comparison, pair, path)));
  const same = a.layers.length === b.layers.length && pairs.every(isSame);
  if (same || (a.layers.length < 2 && b.layers.length < 2) || isFull(comparison)) return children;
  children.push(...(await merged(comparison, a, b, [...path, "all layers together"])));
  return children;
}

interface LayerPair {
  one: Layer | undefined;
  other: Layer | undefined;
  /** Counted from 1. */
  places: { a: number; b: number };
}

function isSame({ one, other, places }: LayerPair): boolean {
  return one !== undefined && one.digest === other?.digest && places.a === places.b;
}

/** Layers with the same content belong together; between two such pairs those that are left do, in their order. */
function pairedLayers(a: readonly Layer[], b: readonly Layer[]): LayerPair[] {
  const partners = new Map<number, number>();
  const taken = new Set<number>();
  for (const [at, layer] of a.entries()) {
    const same = ({ digest, diffId }: Layer): boolean =>
      digest === layer.digest || (diffId !== undefined && diffId === layer.diffId);
    const place = b.findIndex((other, index) => !taken.has(index) && same(other));
    if (place < 0) continue;
    partners.set(at, place);
    taken.add(place);
  }
  let next = 0;
  for (const at of a.keys()) {
    const known = partners.get(at);
    if (known !== undefined) {
      next = Math.max(next, known + 1);
      continue;
    }
    // Only as far as the next pair: what stands beyond it belongs to what follows.
    if (next >= b.length || taken.has(next)) continue;
    partners.set(at, next);
    taken.add(next++);
  }
  const pairs: LayerPair[] = a.map((one, at) => {
    const place = partners.get(at);
    return { one, other: place === undefined ? undefined : b[place], places: { a: at + 1, b: (place ?? -1) + 1 } };
  });
  for (const [at, other] of b.entries()) {
    if (!taken.has(at)) pairs.push({ one: undefined, other, places: { a: 0, b: at + 1 } });
  }
  return pairs;
}

/** Says so when the same layers stand in another order. */
function orderOf(pairs: readonly LayerPair[], path: string[]): Leaf | undefined {
  const both = pairs.filter(({ one, other }) => one !== undefined && other !== undefined);
  const name = ({ places }: LayerPair): string => `layer ${places.a}`;
  const placed = both.toSorted((left, right) => left.places.b - right.places.b);
  return orderLeaf(path, both.map(name), placed.map(name));
}

async function layerChildren(
  comparison: Comparison,
  { one, other, places }: LayerPair,
  path: string[],
): Promise<(Difference | Leaf)[]> {
  const { a, b } = places;
  const name = a === b || b === 0 ? `layer ${a}` : a === 0 ? `layer ${b}` : `layer ${a} → layer ${b}`;
  const at = [...path, name];
  if (one === undefined || other === undefined) {
    const [side, layer] = one === undefined ? (["b", other] as const) : (["a", one] as const);
    return layer === undefined ? [] : [await onlyLayer(comparison, side, layer, at)];
  }
  // What is fetched is checked on the way; what lies here may be damaged.
  if (one.digest === other.digest && !(one.local && other.local)) return [];
  return await withBoth(
    () => one.open(),
    () => other.open(),
    async (left, right) => {
      const plain = await compressionPair(comparison, left, right, at);
      const found = plain ?? (await comparison.descend(left, right, at, 1));
      if (found === undefined) return [];
      const step = one.step ?? other.step;
      if (step !== undefined && found.note === undefined) found.note = step;
      return [found];
    },
  );
}

/** A layer that is compressed on one side only: what it holds is compared. */
async function compressionPair(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
): Promise<Difference | undefined> {
  const [left, right] = [compressionIn(a), compressionIn(b)];
  if (left === right || (left !== undefined && right !== undefined)) return undefined;
  return await withBoth(
    () => plainLayer(comparison, a),
    () => plainLayer(comparison, b),
    async (one, other) => {
      const note = "compressed on one side only: what it holds is compared";
      const type: Leaf = { kind: "leaf", path, what: "type", a: left ?? "tar", b: right ?? "tar", ranges: [], note };
      const found = await comparison.descend(one, other, [...path, "decompressed"], 2);
      const children = [counted(comparison, type), ...(found === undefined ? [] : [found])];
      return { kind: "node", path, format: "image layer", children };
    },
  );
}

function compressionIn(source: ByteSource): Compression | undefined {
  return compressionOf(source.read(0, Math.min(8, source.size)));
}

/** A layer's tar; where it is compressed, in memory or in a file that vanishes. */
async function plainLayer(comparison: Comparison, source: ByteSource): Promise<Spooled> {
  const compression = compressionIn(source);
  if (compression === undefined) return { source, close: () => undefined };
  const unpack = { gzip: gunzip, xz: unxz, zstd: unzstd };
  return await inflated(comparison, source.name, async (sink: Sink, limits: InflationLimits) => {
    await unpack[compression](source, sink, limits);
  });
}

async function onlyLayer(comparison: Comparison, side: "a" | "b", layer: Layer, path: string[]): Promise<Leaf> {
  const opened = await layer.open();
  try {
    const { source } = opened;
    const note = layer.step === undefined ? {} : { note: layer.step };
    return onlyLeaf(comparison, side, path, { source, shown: `${source.size} bytes, ${layer.digest}`, ...note });
  } finally {
    opened.close();
  }
}

/** What the layers amount to once each hides what it hides: a summary, since the layers told the bytes. */
async function merged(
  comparison: Comparison,
  a: PlatformImage,
  b: PlatformImage,
  path: string[],
): Promise<(Difference | Leaf)[]> {
  const open: Spooled[] = [];
  const treeOf = async (image: PlatformImage): Promise<LayerTree> => {
    const tree = new LayerTree();
    for (const layer of image.layers) {
      const opened = await layer.open();
      open.push(opened);
      const plain = await plainLayer(comparison, opened.source);
      open.push(plain);
      await tree.apply(plain.source);
    }
    return tree;
  };
  try {
    const leaves = mergedLeaves(comparison, await treeOf(a), await treeOf(b), path);
    if (leaves.length === 0) return [];
    const note = "what differs once all layers are applied: a summary of what the layers above tell byte by byte";
    return [{ kind: "node", path, format: "file system", children: leaves, note }];
  } finally {
    for (const spooled of open.toReversed()) spooled.close();
  }
}
