/** A real registry for tests: Debian's docker-registry on this machine's own address, with a folder of its own. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDigest } from "../digest.ts";
import type { MadeBlob, MadeImage } from "./test-images.ts";

/** Undefined when the registry is there, else why its tests are skipped. */
export const WITHOUT_REGISTRY: string | false =
  spawnSync("docker-registry", ["--version"]).error === undefined
    ? false
    : "docker-registry is not installed: apt-get install docker-registry";

export interface TestRegistry {
  /** Host and port. */
  host: string;
  url: string;
  push(repository: string, blobs: readonly MadeBlob[], manifests: Record<string, MadeBlob>): Promise<void>;
  stop(): Promise<void>;
}

export interface RegistrySetup {
  /** Lines of the configuration's `auth`, indented by two. */
  auth?: string;
  /** Lines of `http`, indented by two. */
  http?: string;
  /** Header with which the test may push. */
  authorization?: string;
  scheme?: "http" | "https";
}

export async function startRegistry(folder: string, setup: RegistrySetup = {}): Promise<TestRegistry> {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "config.yml");
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n` +
      `storage:\n  filesystem:\n    rootdirectory: ${join(folder, "data")}\n` +
      `http:\n  addr: 127.0.0.1:0\n  secret: test\n${setup.http ?? ""}` +
      (setup.auth === undefined ? "" : `auth:\n${setup.auth}`),
  );
  const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", "pipe", "pipe"] });
  const port = await listening(child);
  const host = `127.0.0.1:${port}`;
  const url = `${setup.scheme ?? "http"}://${host}`;
  const headers: Record<string, string> =
    setup.authorization === undefined ? {} : { authorization: setup.authorization };
  return {
    host,
    url,
    push: (repository, blobs, manifests) => push(url, headers, repository, blobs, manifests),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGKILL");
      await closed;
    },
  };
}

async function listening(child: ChildProcess): Promise<number> {
  let said = "";
  return await new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      said += chunk.toString();
      const port = /listening on 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port !== undefined) resolve(Number(port));
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.once("close", () => reject(new Error(`docker-registry ended: ${said}`)));
  });
}

async function push(
  url: string,
  headers: Record<string, string>,
  repository: string,
  blobs: readonly MadeBlob[],
  manifests: Record<string, MadeBlob>,
): Promise<void> {
  for (const blob of blobs) {
    const begun = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: "POST", headers });
    const place = new URL(begun.headers.get("location") ?? "", url);
    place.searchParams.set("digest", blob.digest);
    await expect(await fetch(place, { method: "PUT", headers, body: blob.bytes as Uint8Array<ArrayBuffer> }));
  }
  for (const [name, manifest] of Object.entries(manifests)) {
    const reference = isDigest(name) ? name : encodeURIComponent(name);
    await expect(
      await fetch(`${url}/v2/${repository}/manifests/${reference}`, {
        method: "PUT",
        headers: { ...headers, "content-type": manifest.mediaType },
        body: manifest.bytes as Uint8Array<ArrayBuffer>,
      }),
    );
  }
}

async function expect(answer: Response): Promise<void> {
  if (answer.status !== 201) throw new Error(`push: ${answer.status} ${await answer.text()}`);
  await answer.body?.cancel();
}

/** What `push` takes for one image under some tags. */
export function pushed(image: MadeImage, ...tags: string[]): [readonly MadeBlob[], Record<string, MadeBlob>] {
  return [image.blobs, Object.fromEntries(tags.map((tag) => [tag, image.manifest]))];
}
