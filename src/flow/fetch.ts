import { mkdir } from "node:fs/promises";
import { join, posix } from "node:path";
import { missingTools } from "../build/build.ts";
import { BitforbitError } from "../errors.ts";
import type { FetchDeps } from "../lock/deps-cache.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { runSandboxed } from "../sandbox/sandbox.ts";
import { toolPaths } from "../sandbox/toolchain.ts";
import { canonicalWorld } from "../vary/worlds.ts";

/**
 * The fetch phase of a lock: the recipe's script, in the sandbox like a build
 * but with the network, writing dependencies into a folder that is then locked.
 */
export function fetchInSandbox(
  host: HostAbilities,
  scratch: string,
  options: { onProgress?: (line: string) => void; signal?: AbortSignal },
): FetchDeps {
  return async ({ recipe, stagedFolder, into, epoch }) => {
    const world = canonicalWorld(recipe.name);
    const tools = await toolPaths(recipe.environment.tools);
    if (tools.missing.length > 0) throw missingTools(tools.missing);
    await mkdir(into, { recursive: true });
    const lines: string[] = [];
    const ran = await runSandboxed(
      {
        world,
        command: ["/bin/sh", "-eu", "-c", recipe.fetch ?? ":"],
        directory: posix.join(world.buildPath, recipe.directory),
        mounts: [
          { from: stagedFolder, to: world.buildPath, writable: true },
          { from: into, to: "/deps", writable: true },
        ],
        hostPaths: tools.hostPaths,
        environment: {
          ...recipe.env,
          PATH: tools.path,
          SOURCE_DATE_EPOCH: String(epoch),
          BITFORBIT_DEPS: "/deps",
        },
        network: "host",
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
    if (ran.outcome === "exited" && ran.exitCode === 0) return;
    const how = ran.outcome === "exited" ? `exited with ${ran.exitCode}` : `ended: ${ran.outcome}`;
    throw new BitforbitError(
      "outside",
      `fetching the dependencies failed: the fetch script ${how}\n${lines.join("\n")}`,
      {
        hint: "check the network and the project's lockfile; the script is 'fetch' in bitforbit.toml",
      },
    );
  };
}
