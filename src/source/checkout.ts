import { join } from "node:path";
import { BitforbitError } from "../errors.ts";
import { byteOrder } from "../order.ts";
import { examine, realFolders, type SourceFile } from "./files.ts";
import {
  countUntracked,
  findRepository,
  gitMaybe,
  listCommit,
  listIndex,
  type TreeItem,
  withoutCredentials,
} from "./git.ts";

export interface Submodule {
  path: string;
  commit: string;
  uri: string;
  /** False: its files are not checked out. */
  present: boolean;
}

/** What a working tree holds of a commit. */
export interface Checkout {
  /** Tracked files as they lie in the working tree, submodules' too. */
  files: SourceFile[];
  /** Tracked paths that differ from the commit, sorted. */
  dirty: string[];
  submodules: Submodule[];
  untracked: number;
}

const MAX_NESTED = 16;

/** Compares the working tree at `top/prefix` with `commit`, submodules' trees with the commits recorded for them. */
export async function readCheckout(top: string, prefix: string, commit: string, nested = 0): Promise<Checkout> {
  if (nested > MAX_NESTED) throw new BitforbitError("limit", `submodules nested deeper than ${MAX_NESTED}: ${top}`);
  const root = join(top, prefix);
  const committed = new Map((await listCommit(top, commit, prefix)).map((item) => [item.path, item]));
  const staged = new Map((await listIndex(top, prefix)).map((item) => [item.path, item]));
  const checkout: Checkout = { files: [], dirty: [], submodules: [], untracked: await countUntracked(top, prefix) };
  const folders = new Map<string, boolean>();
  const uris = await submoduleUris(top);
  for (const path of [...new Set([...committed.keys(), ...staged.keys()])].sort(byteOrder)) {
    const item = committed.get(path);
    const index = staged.get(path);
    const changed = item === undefined || index?.oid !== item.oid || index.mode !== item.mode;
    if ((item ?? index)?.mode === "160000") {
      const uri = uris.get(prefix === "" ? path : `${prefix}/${path}`) ?? "";
      await addSubmodule(checkout, root, path, (item ?? index)?.oid ?? "", uri, nested);
      if (changed) checkout.dirty.push(path);
      continue;
    }
    const examined = examine(root, path, folders, commit.length === 64 ? 64 : 40);
    if (changed || examined === undefined || !isAs(item, examined)) checkout.dirty.push(path);
    if (examined !== undefined && index !== undefined) {
      checkout.files.push({ path, mode: examined.mode, from: join(root, path), digest: examined.digest });
    }
  }
  checkout.dirty.sort(byteOrder);
  return checkout;
}

function isAs(item: TreeItem | undefined, examined: { mode: string; matches: (oid: string) => boolean }): boolean {
  const mode = { "100644": "644", "100664": "644", "100755": "755", "120000": "link" }[item?.mode ?? ""];
  return item !== undefined && mode === examined.mode && examined.matches(item.oid);
}

async function addSubmodule(
  checkout: Checkout,
  root: string,
  path: string,
  commit: string,
  uri: string,
  nested: number,
): Promise<void> {
  const found = realFolders(root, path, new Map()) ? await findRepository(join(root, path)) : undefined;
  const own = found !== undefined && found.prefix === "";
  checkout.submodules.push({ path, commit, uri, present: own });
  if (!own) return;
  const head = await gitMaybe(found.top, "rev-parse", "--verify", "-q", "HEAD^{commit}");
  if (head !== commit) checkout.dirty.push(path);
  if (head === undefined) return;
  const inner = await readCheckout(found.top, "", head, nested + 1);
  checkout.untracked += inner.untracked;
  const below = (name: string): string => `${path}/${name}`;
  checkout.dirty.push(...inner.dirty.map(below));
  checkout.files.push(...inner.files.map((file) => ({ ...file, path: below(file.path) })));
  checkout.submodules.push(...inner.submodules.map((item) => ({ ...item, path: below(item.path) })));
}

/** Path to URL, as .gitmodules says. */
async function submoduleUris(top: string): Promise<Map<string, string>> {
  const text = await gitMaybe(top, "config", "--no-includes", "-z", "--file", join(top, ".gitmodules"), "--list");
  const byName = new Map<string, { path?: string; url?: string }>();
  for (const record of text?.split("\0") ?? []) {
    const [, name = "", key = "", value = ""] = /^submodule\.([^]+)\.(path|url)\n([^]*)$/.exec(record) ?? [];
    if (key === "path" || key === "url") byName.set(name, { ...byName.get(name), [key]: value });
  }
  return new Map([...byName.values()].map(({ path = "", url = "" }) => [path, withoutCredentials(url)]));
}
