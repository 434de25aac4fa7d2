import { constantEdits } from "./constants.ts";
import type { Remedy } from "./remedy.ts";
import { sha256Hex } from "../../digest.ts";

/** A UUID that follows from where it is made: as random ones look, the same in every run. */
function uuidOf(place: string): string {
  const hex = sha256Hex(place);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export const fixedRandom: Remedy = {
  name: "fixed-random",
  causes: ["random"],
  intrusion: "patch",
  says: "what was drawn at random follows from the project instead: uuid5 for uuid4, fixed numbers and bytes",
  propose: (project) =>
    constantEdits(project, {
      commands: [
        [/^uuidgen(?: -r| --random| -t| --time)?$/, `uuidgen --sha1 --namespace @url --name ${project.name}`],
        [/^cat \/proc\/sys\/kernel\/random\/uuid$/, `echo ${uuidOf(project.name)}`],
        [/^openssl rand -hex [0-9]+$/, `echo ${sha256Hex(project.name).slice(0, 32)}`],
      ],
      variables: [
        ["RANDOM", "4"],
        ["SRANDOM", "4"],
      ],
      code: {
        python: [
          [/(?<![\w.])uuid\.uuid[14]\(/, `uuid.uuid5(uuid.NAMESPACE_URL, "${project.name}")`],
          [/(?<![\w.])os\.urandom\(/, ({ inside }) => `bytes(${inside})`],
          [/(?<![\w.])secrets\.token_hex\(/, ({ inside }) => `bytes(${inside === "" ? "32" : inside}).hex()`],
          [/(?<![\w.])secrets\.token_bytes\(/, ({ inside }) => `bytes(${inside === "" ? "32" : inside})`],
          [
            /(?<![\w.])random\.(?=(?:random|randint|randrange|choice|choices|shuffle|sample|getrandbits|uniform)\()/,
            () => "random.Random(0).",
          ],
          [/(?<![\w.])random\.(?:SystemRandom|Random)\(\)/, "random.Random(0)"],
        ],
        javascript: [
          [
            /(?<![\w.])(?:crypto\.)?random[U]UID\(/,
            ({ path, start, quote }) => `${quote}${uuidOf(`${path}:${start}`)}${quote}`,
          ],
          [/(?<![\w.])Math\.random\(/, "0.5"],
          [/(?<![\w.])(?:crypto\.)?random[B]ytes\(/, ({ inside }) => `Buffer.alloc(${inside})`],
          [/(?<![\w.])(?:crypto\.)?randomInt\(/, "0"],
        ],
        perl: [[/(?<![\w$@%&>{-])rand\(/, ({ inside }) => `(0.5 * (${inside === "" ? "1" : inside}))`]],
        go: [
          [
            /(?<![\w.])rand\.(?=(?:Intn?|Int63|Int31|Float64|Perm|Uint32|Uint64)\()/,
            () => "rand.New(rand.NewSource(0)).",
          ],
        ],
        java: [
          [
            /(?<![\w.])(?:java\.util\.)?UUID\.random[U]UID\(/,
            `java.util.UUID.nameUUIDFromBytes("${project.name}".getBytes())`,
          ],
          [/(?<![\w.])new\s+(?:java\.util\.)?(?:Random|SecureRandom)\(\)/, "new java.util.Random(0)"],
          [/(?<![\w.])Math\.random\(/, "0.5"],
        ],
      },
    }),
};
