import { mkdir } from "node:fs/promises";
import { join, posix } from "node:path";
import { type LockedRoot, toolsFor } from "../build/tools.ts";
import { BitforbitError } from "../errors.ts";
import type { FetchDeps } from "../lock/deps-cache.ts";
import { withMaterials } from "../record/materials.ts";
import type { Note } from "../record/recorder.ts";
import type { Recording } from "../record/recording.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { runSandboxed } from "../sandbox/sandbox.ts";
import { canonicalWorld } from "../vary/worlds.ts";
import { recorded } from "./proxied.ts";

export interface FetchOptions {
  /** `<home>/cache`, which takes the bodies of all answers. */
  cache: string;
  /** A locked environment's root; undefined: this machine's. */
  root: LockedRoot | undefined;
  /** Seconds since 1970: registries answer as of then. */
  asOf?: number;
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
}

/** Notes of what failed between the client and a registry. */
const FAILED: readonly Note["kind"][] = ["unreachable", "cut-off", "refused-handshake", "too-large", "not-recorded"];

/** Notes that say why a fetch may have failed, or that what it got is not to be relied on. */
const TELLING: readonly Note["kind"][] = [
  ...FAILED.filter((kind) => kind !== "not-recorded"),
  "changed",
  "beyond-time",
];

/**
 * The fetch phase of a lock: the recipe's script, in the sandbox like a build,
 * writing dependencies into a folder that is then locked. It reaches a proxy
 * that records, and nothing else. Where the command's own requests are to be
 * replayed, the command runs as well.
 */
export function fetchInSandbox(host: HostAbilities, scratch: string, options: FetchOptions): FetchDeps {
  return async ({ recipe, stagedFolder, into, epoch }) => {
    // What is fetched is locked, so that nothing may run before the root is sure.
    const root = (await options.root?.confirm?.()) ?? options.root;
    const world = canonicalWorld(recipe.name);
    const tools = await toolsFor(recipe, root);
    await mkdir(into, { recursive: true });
    const lines: string[] = [];
    const notes: Note[] = [];
    const { parts, close } = recorded({
      cache: options.cache,
      home: world.user.home,
      ...(options.asOf === undefined ? {} : { asOf: options.asOf }),
      onNote: (note) => notes.push(note),
    });
    const scripts = [recipe.fetch, ...(recipe.network === "replay" ? [recipe.command] : [])];
    const ran = await runSandboxed(
      {
        ...parts,
        world,
        ...(root === undefined ? {} : { root: root.folder }),
        command: ["/bin/sh", "-eu", "-c", scripts.map((script) => `(${script ?? ":"}\n)`).join("\n")],
        directory: posix.join(world.buildPath, recipe.directory),
        mounts: [
          { from: stagedFolder, to: world.buildPath, writable: true },
          { from: into, to: "/deps", writable: true },
        ],
        hostPaths: tools.hostPaths,
        environment: {
          ...root?.env,
          ...parts.environment,
          ...recipe.env,
          PATH: tools.path,
          SOURCE_DATE_EPOCH: String(epoch),
          BITFORBIT_DEPS: "/deps",
        },
        limits: recipe.limits,
        log: join(scratch, "fetch.log"),
        onOutput: (line) => {
          lines.push(line);
          if (lines.length > 30) lines.shift();
          options.onProgress?.(line);
        },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      host,
    );
    const recording = await close();
    const telling = notes.filter(({ kind }) => TELLING.includes(kind)).map(({ message }) => message);
    for (const line of new Set(telling)) options.onProgress?.(line);
    if (ran.outcome === "exited" && ran.exitCode === 0) return await told(recording, options.cache);
    const how = ran.outcome === "exited" ? `exited with ${ran.exitCode}` : `ended: ${ran.outcome}`;
    const said = [...new Set([...telling, ...lines])].slice(-30).join("\n");
    const { code, hint } = whyFailed(notes, recording);
    throw new BitforbitError(code, `fetching the dependencies failed: the fetch script ${how}\n${said}`, { hint });
  };
}

/**
 * Whose fault it was that a fetch script failed: what passed between it and the registries says so. One whose requests
 * were all answered in the end, or that made none, failed by itself.
 */
function whyFailed(notes: readonly Note[], { exchanges }: Recording): { code: "outside" | "build"; hint: string } {
  const script = "the script is 'fetch' in bitforbit.toml";
  const got = new Set(exchanges.filter(({ status }) => status < 400).map(({ url }) => url));
  if (notes.some(({ kind, url }) => FAILED.includes(kind) && !got.has(url))) {
    return { code: "outside", hint: `check the network and the project's lockfile; ${script}` };
  }
  const refused = exchanges.find(({ status }) => status >= 400);
  if (refused !== undefined) {
    const answer = `${refused.method} ${refused.url} was answered with status ${refused.status}`;
    return { code: "outside", hint: `${answer}: if the script needs that, check the project's lockfile; ${script}` };
  }
  const asked = exchanges.length === 0 ? "it sent no request through HTTPS_PROXY" : "all its requests were answered";
  return { code: "build", hint: `check the script and the project's lockfile; ${script}, and ${asked}` };
}

/** The recording with what its bodies are. Throws `refused` when one is not what its own registry says it is. */
async function told(recording: Recording, cache: string): Promise<Recording> {
  const { contradictions, ...known } = await withMaterials(recording, cache);
  const [wrong] = contradictions;
  if (wrong === undefined) return known;
  const { url, algorithm, actual, stated } = wrong;
  throw new BitforbitError("refused", `${url} has ${algorithm} ${actual}, and its registry states ${stated}`, {
    hint: "somebody changed what is served, or it was damaged on the way: lock again, then ask the registry",
  });
}
