/**
 * Small projects with known causes: a number fixes one, to the byte. A project
 * has a generator program in its language, made of sections of which each may
 * write one or more causes' traces, steps of its build script that do so by the
 * language's own tools, and a last step that packs what came out.
 */
import type { CauseName } from "../../src/world.ts";
import { type Breaker, type Kitchen, type Language, LANGUAGES, type Section, type Step } from "./ingredient.ts";
import { c } from "./ingredients/c.ts";
import { go } from "./ingredients/go.ts";
import { java } from "./ingredients/java.ts";
import { node } from "./ingredients/node.ts";
import { perl } from "./ingredients/perl.ts";
import { python } from "./ingredients/python.ts";
import { rust } from "./ingredients/rust.ts";
import { anySteps, breakers, shell } from "./ingredients/shell.ts";
import { type Stream, stream } from "./prng.ts";

export interface Case {
  /** The seed. */
  number: number;
  name: string;
  language: Language;
  /** What makes it differ, sorted; none: it reproduces. */
  causes: CauseName[];
  /** Neither demanded nor wrong. */
  also: CauseName[];
  /** Causes that may as well be told as another. */
  toldAs: Partial<Record<CauseName, CauseName>>;
  /** It fails in the adversarial world, for this. */
  breaks: CauseName | undefined;
  ingredients: string[];
  layout: Layout;
  packing: Packing;
  /** The source, bitforbit.toml among it. */
  files: Record<string, string>;
}

export const CASES = 300;

const LAYOUTS = ["apart", "together"] as const;
type Layout = (typeof LAYOUTS)[number];
const PACKINGS = ["plain", "plain", "checksums", "tarball", "nested", "content-names"] as const;
type Packing = (typeof PACKINGS)[number];

const KITCHENS: Readonly<Record<Language, Kitchen>> = { c, python, node, go, rust, java, shell, perl };

type Ingredient = { section: Section } | { step: Step };

export const told = (one: Ingredient): Section | Step => ("section" in one ? one.section : one.step);

/** All that a project of `language` may be made of. */
export function ingredientsOf(language: Language): Ingredient[] {
  const { sections, steps } = KITCHENS[language];
  return [...sections.map((section) => ({ section })), ...[...steps, ...anySteps].map((step) => ({ step }))];
}

/** The project of a seed. Every twelfth has no cause; every thirtieth fails in the adversarial world. */
export function generate(number: number): Case {
  const random = stream(number);
  const language = LANGUAGES[number % LANGUAGES.length] ?? "c";
  const breaker = number % 30 === 7 ? random.pick(breakers) : undefined;
  const wanted = number % 12 === 0 || breaker !== undefined ? 0 : random.pick([1, 1, 1, 2, 2, 2, 3, 3, 4, 5]);
  const chosen = [...chooseCauses(random, ingredientsOf(language), wanted), ...chooseClean(random, language, wanted)];
  return assemble(number, language, random.shuffled(chosen), random, breaker);
}

/** A project of everything that the language has, each in an output of its own: what `truth.ts` holds the seeds by. */
export function generateAll(language: Language): Case {
  return assemble(0, language, ingredientsOf(language), stream(0), undefined, { layout: "apart", packing: "plain" });
}

/** Few languages have them, so that they are picked the more often where there are any. */
const SELDOM: readonly CauseName[] = ["aslr", "hash-order", "uninitialised"];

/** Ingredients whose causes are `wanted` in number together. */
function chooseCauses(random: Stream, all: readonly Ingredient[], wanted: number): Ingredient[] {
  const chosen: Ingredient[] = [];
  const causes = new Set<CauseName>();
  const distinct = [...new Set(all.flatMap((one) => told(one).causes))].sort();
  const names = [...distinct, ...distinct.filter((name) => SELDOM.includes(name)).flatMap((name) => [name, name])];
  while (causes.size < wanted) {
    const cause = random.pick(names.filter((name) => !causes.has(name)));
    const fitting = all.filter((one) => {
      const { causes: own } = told(one);
      return own.includes(cause) && own.every((name) => !causes.has(name)) && causes.size + own.length <= wanted;
    });
    if (fitting.length === 0) continue;
    const one = random.pick(fitting);
    chosen.push(one);
    for (const name of told(one).causes) causes.add(name);
  }
  return chosen;
}

/** What looks as if it differed and does not: always in a project that reproduces, else in every second. */
function chooseClean(random: Stream, language: Language, wanted: number): Ingredient[] {
  const clean = ingredientsOf(language).filter((one) => told(one).causes.length === 0);
  if (wanted === 0) return random.shuffled(clean).slice(0, 4);
  return random.below(2) === 0 ? [random.pick(clean)] : [];
}

const WORDS = [
  "amber",
  "birch",
  "cedar",
  "delta",
  "ember",
  "flint",
  "grove",
  "heron",
  "iris",
  "juniper",
  "kelp",
  "lotus",
];

const sorted = (causes: readonly CauseName[]): CauseName[] => [...new Set(causes)].sort();

function assemble(
  number: number,
  language: Language,
  chosen: readonly Ingredient[],
  random: Stream,
  breaker: Breaker | undefined,
  fixed?: { layout: Layout; packing: Packing },
): Case {
  const layout = fixed?.layout ?? random.pick(LAYOUTS);
  const packing = fixed?.packing ?? random.pick(PACKINGS);
  const kitchen = KITCHENS[language];
  const sections = chosen.flatMap((one) => ("section" in one ? [one.section] : []));
  const steps = chosen.flatMap((one) => ("step" in one ? [one.step] : []));
  const name = `seeded-${language}-${number}`;
  const data = random.shuffled(WORDS).slice(0, 9);
  const files: Record<string, string> = {
    ...Object.fromEntries(data.map((word) => [`data/${word}.txt`, `${word} ${random.below(1000)}\n`])),
    ...kitchen.program(sections),
    ...Object.assign({}, ...chosen.map((one) => told(one).files ?? {})),
    "build.sh": script(kitchen, sections, steps, layout, packing, breaker, name),
  };
  const tools = new Set([...kitchen.tools, ...steps.flatMap((step) => step.tools ?? []), ...PACKING[packing].tools]);
  files["bitforbit.toml"] = recipe(name, [...tools], packing);
  const causes = sorted(chosen.flatMap((one) => told(one).causes));
  return {
    number,
    name,
    language,
    causes,
    also: sorted(chosen.flatMap((one) => told(one).also ?? [])).filter((cause) => !causes.includes(cause)),
    toldAs: Object.fromEntries(
      chosen
        .map(told)
        .flatMap(({ toldAs, causes: [own] }) => (toldAs === undefined || own === undefined ? [] : [[own, toldAs]])),
    ),
    breaks: breaker?.cause,
    ingredients: [...chosen.map((one) => told(one).name), ...(breaker === undefined ? [] : [breaker.name])],
    layout,
    packing,
    files,
  };
}

/** Keeps Go from the network and from a home folder. */
export const BUILD_ENVIRONMENT: Readonly<Record<string, string>> = {
  GO111MODULE: "off",
  CGO_ENABLED: "0",
  GOCACHE: "/tmp/go-cache",
  GOTOOLCHAIN: "local",
  GOTELEMETRY: "off",
};

function recipe(name: string, tools: readonly string[], packing: Packing): string {
  return `name = "${name}"
command = "sh -eu build.sh"
outputs = ["${PACKING[packing].outputs}"]

[environment]
type = "host"
tools = [${tools.map((tool) => `"${tool}"`).join(", ")}]

[env]
${Object.entries(BUILD_ENVIRONMENT)
  .map(([variable, value]) => `${variable} = "${value}"`)
  .join("\n")}
`;
}

/** The folder that a project's outputs are in. */
export const outputsOf = ({ packing }: Case): string => PACKING[packing].outputs;

/** Debian's Go comes with its library compiled; where it is not, each build compiles it. */
const DEBIAN_GO = `for folder in /usr/lib/go-1.*/bin; do
  if [ -x "$folder/go" ]; then PATH=$folder:$PATH; fi
done
`;

function script(
  kitchen: Kitchen,
  sections: readonly Section[],
  steps: readonly Step[],
  layout: Layout,
  packing: Packing,
  breaker: Breaker | undefined,
  name: string,
): string {
  const place = (section: Section): string => (layout === "apart" ? `out/${section.name}.txt` : "out/generated.txt");
  const made = steps.map((step, at) => ({ step, call: `step_${at + 1}` }));
  return [
    `# Builds ${name}: what is generated, what is made beside it, and the parcel.`,
    ...(kitchen.language === "go" ? [DEBIAN_GO] : []),
    ...made.map(({ step, call }) => `${call}() {\n${step.lines}\n}\n`),
    "mkdir -p out dist",
    "echo 'made by build.sh' > out/README",
    `build_program() {\n${kitchen.run}\n}`,
    ...(sections.length === 0 ? [] : [`build_program ${sections.map(place).join(" ")}`]),
    ...made.map(({ step, call }) => `${call} out/${step.output}`),
    ...(breaker === undefined ? [] : [breaker.lines]),
    ...PACKING[packing].lines,
    "",
  ].join("\n");
}

const TAR =
  'tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -C out -cf - . | gzip -n > dist/parts.tar.gz';

/** The last lines of the build, which add no cause of their own. */
const PACKING: Readonly<Record<Packing, { lines: readonly string[]; outputs: string; tools: readonly string[] }>> = {
  plain: { lines: [], outputs: "out", tools: [] },
  checksums: {
    lines: [
      "(cd out && find . -type f | LC_ALL=C sort | xargs sha256sum) > dist/SHA256SUMS",
      "mv dist/SHA256SUMS out/SHA256SUMS",
    ],
    outputs: "out",
    tools: [],
  },
  tarball: { lines: [TAR], outputs: "dist", tools: [] },
  nested: {
    lines: [
      TAR,
      "chmod 644 dist/parts.tar.gz",
      'touch -d "@$SOURCE_DATE_EPOCH" dist/parts.tar.gz',
      "(cd dist && TZ=UTC zip -q -X parcel.zip parts.tar.gz && rm parts.tar.gz)",
    ],
    outputs: "dist",
    tools: ["zip"],
  },
  "content-names": {
    lines: [
      'for made in $(find out -type f | LC_ALL=C sort); do\n  mv "$made" "dist/$(sha256sum "$made" | cut -c1-8)-$(basename "$made")"\ndone',
    ],
    outputs: "dist",
    tools: [],
  },
};
