import { codeEdits, withImports } from "./code.ts";
import type { Remedy } from "./remedy.ts";

/** Calls that ask for the time; those with arguments of their own are told apart below. */
const CALLS =
  /(?<![\w.])(?:time\.(?:time|time_ns|localtime|gmtime|ctime|asctime|strftime)|(?:datetime\.)?(?:datetime\.(?:now|utcnow|today)|date\.today))\(/;

export const pythonTime: Remedy = {
  name: "python-time",
  causes: ["clock", "timezone"],
  intrusion: "patch",
  says: "Python scripts of the build take the time from SOURCE_DATE_EPOCH where it is set",
  propose: (project) =>
    withImports(
      project,
      codeEdits(project, "python", CALLS, ({ code, start, end, inside, match, quote }) => {
        const name = `SOURCE_DATE_EPOCH`;
        const line = code.text.slice(code.text.lastIndexOf("\n", start) + 1, end + 200).split("\n")[0] ?? "";
        if (line.includes(name)) return undefined;
        const given = `${quote}${name}${quote} in os.environ`;
        const epoch = `int(os.environ[${quote}${name}${quote}])`;
        const was = code.text.slice(start, end);
        const now = told(match[0].slice(0, -1), inside.trim(), epoch);
        return now === undefined ? undefined : `(${now} if ${given} else ${was})`;
      }),
      "os",
    ),
};

/** The call with the time of the source; undefined where it does not ask for now. */
function told(call: string, inside: string, epoch: string): string | undefined {
  const [module = "", name = ""] = [call.slice(0, call.lastIndexOf(".")), call.slice(call.lastIndexOf(".") + 1)];
  switch (name) {
    case "time":
      return epoch;
    case "time_ns":
      return `${epoch} * 10**9`;
    case "localtime":
    case "gmtime":
      return inside === "" ? `time.gmtime(${epoch})` : undefined;
    case "ctime":
    case "asctime":
      return inside === "" ? `time.asctime(time.gmtime(${epoch}))` : undefined;
    case "strftime":
      return oneArgument(inside) ? `time.strftime(${inside}, time.gmtime(${epoch}))` : undefined;
    case "now":
      return inside === ""
        ? `${module}.utcfromtimestamp(${epoch})`
        : `${module}.fromtimestamp(${epoch}, ${inside.replace(/^tz\s*=\s*/, "")})`;
    case "utcnow":
      return `${module}.utcfromtimestamp(${epoch})`;
    case "today":
      return /datetime\.date$|^date$/.test(module)
        ? `${module}.fromordinal(719163 + ${epoch} // 86400)`
        : `${module}.utcfromtimestamp(${epoch})`;
    default:
      return undefined;
  }
}

/** One argument: no comma but in quotes or parentheses. */
function oneArgument(inside: string): boolean {
  const plain = inside.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, "");
  return plain.trim() !== inside.trim() ? !plain.includes(",") : inside !== "" && !inside.includes(",");
}
