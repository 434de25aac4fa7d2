import { BitforbitError } from "../errors.ts";
import { locateKey } from "../format/toml.ts";

/** Variables that every build gets: what a recipe says of them would be lost. */
const GIVEN: Record<string, string> = {
  PATH: "set it in the command: export PATH=…; the environment's tools name what is on it",
  BITFORBIT_DEPS: "it is where the locked dependencies lie",
};

/** Throws `input` for a variable that a recipe may not set, or not so. */
export function requireOwnVariables(source: string, path: string, env: Record<string, string>): void {
  for (const [name, value] of Object.entries(env)) {
    const { line, column } = locateKey(source, ["env", name]);
    const at = `${path}:${line}:${column}: env.${name}`;
    const hint = GIVEN[name];
    if (hint !== undefined) throw new BitforbitError("input", `${at} is given by bitforbit`, { hint });
    if (name === "SOURCE_DATE_EPOCH" && !/^\d{1,11}$/.test(value)) {
      throw new BitforbitError("input", `${at} is not a number of seconds: ${JSON.stringify(value.slice(0, 40))}`, {
        hint: 'seconds since 1970, such as "1451606400"; without it, it is the time of the commit, or of the newest file',
      });
    }
  }
}
