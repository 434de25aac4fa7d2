/** The environment of a build: pinned when it is locked, opened as it was pinned ever after. */
import { openDebian, resolveDebian } from "../environment/debian.ts";
import type { EnvironmentContext, EnvironmentRoot } from "../environment/context.ts";
import { openOci, resolveOci } from "../environment/oci.ts";
import type { RootCheck } from "../environment/roots.ts";
import { requireArchitecture } from "../lock/architecture.ts";
import type { LockedEnvironment } from "../lock/environment.ts";
import { byteOrder } from "../order.ts";
import type { EnvironmentSpec } from "../recipe/recipe.ts";

export interface Environment {
  locked: LockedEnvironment;
  /** Undefined: this machine's own file system. */
  root: EnvironmentRoot | undefined;
}

/** `folder`: of the project, to which an image layout's path is relative. */
export type Context = EnvironmentContext & { folder: string; check?: RootCheck };

const same = (a: readonly string[], b: readonly string[]): boolean => a.join("\n") === b.join("\n");

/** Whether a lock's environment is what the recipe asks for: then it stays, however the archive went on. */
export function environmentFits(spec: EnvironmentSpec, locked: LockedEnvironment): boolean {
  if (spec.type !== locked.type) return false;
  if (spec.type === "host" || locked.type === "host") return true;
  if (spec.type === "oci" && locked.type === "oci") {
    return same([spec.image], locked.requested) && (spec.platform === undefined || spec.platform === locked.platform);
  }
  if (spec.type !== "debian" || locked.type !== "debian") return false;
  return (
    spec.suite === locked.suite &&
    same(spec.components, locked.components) &&
    same([...new Set(spec.packages)].sort(byteOrder), locked.requested) &&
    (spec.architecture === undefined || spec.architecture === locked.architecture)
  );
}

/** Pins what the recipe asks for, as it is now: with network. */
export async function resolveEnvironment(spec: EnvironmentSpec, context: Context): Promise<Environment> {
  if (spec.type === "debian") return await resolveDebian(spec, context);
  if (spec.type === "oci") return await resolveOci(spec, context);
  return { locked: { type: "host", pinned: false }, root: undefined };
}

/** What a lock pins: from the cache; what is missing there is fetched by its digest. */
export async function openEnvironment(locked: LockedEnvironment, context: Context): Promise<Environment> {
  requireArchitecture(locked);
  if (locked.type === "debian") return { locked, root: await openDebian(locked, context) };
  if (locked.type === "oci") return { locked, root: await openOci(locked, context) };
  return { locked, root: undefined };
}
