import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Digest } from "../digest.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError } from "../errors.ts";
import type { Home } from "../flow/home.ts";
import { openLedger } from "../ledger/ledger.ts";
import { openStore } from "../store/store.ts";
import type { Options } from "./program.ts";
import { nearestHome } from "./project.ts";

/** Something to compare that was built: a file, or a folder of all outputs of a build, until `close`. */
export interface Built {
  path: string;
  close(): Promise<void>;
}

/**
 * The artifact with a digest, or the outputs of a build by its id, from the
 * store of the home that the options name or that is nearest. Each file is
 * digested as it is taken. Throws `input` where there is no such build or artifact.
 */
export async function openBuilt(word: string, options: Options): Promise<Built> {
  const home = await nearestHome(".", options);
  if (!existsSync(home.root)) {
    throw new BitforbitError("input", `${word}: there is no file of that name, and no home to look it up in`, {
      hint: "run it in the project that built, or give --home",
    });
  }
  return word.startsWith("sha256:") ? await openArtifact(home, word as Digest) : await openOutputs(home, word);
}

async function openArtifact(home: Home, digest: Digest): Promise<Built> {
  const folder = await scratchIn(home);
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const path = join(folder, digest.slice("sha256:".length, "sha256:".length + 12));
  try {
    await take(home, digest, path);
  } catch (error) {
    await close();
    throw error;
  }
  return { path, close };
}

async function openOutputs(home: Home, id: string): Promise<Built> {
  const ledger = await openLedger(home.ledger);
  const story = await ledger.build(id).finally(() => ledger.close());
  if (story === undefined) {
    throw new BitforbitError("input", `${id}: no build of that id in ${home.root}`, {
      hint: "'bitforbit stats' and the pages of 'bitforbit serve' list builds",
    });
  }
  const folder = await scratchIn(home);
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    for (const { path, digest } of story.outputs) {
      const place = join(folder, ...path.split("/").filter((step) => step !== "" && step !== "." && step !== ".."));
      await mkdir(dirname(place), { recursive: true });
      await take(home, digest as Digest, place);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { path: folder, close };
}

async function scratchIn(home: Home): Promise<string> {
  const folder = join(home.scratch, `compared-${uniqueName(systemEntropy)}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** Copies a blob and checks it: what is compared is what the digest says. */
async function take(home: Home, digest: Digest, place: string): Promise<void> {
  const store = await openStore(home.store);
  if (!(await store.has(digest))) {
    throw new BitforbitError("input", `${digest} is not in the store of ${home.root}`, {
      hint: "the store keeps the outputs of canonical builds that reproduced",
    });
  }
  await writeFile(place, store.streamBlob(digest), { mode: 0o600, flag: "wx" });
}
