/**
 * A policy's own rules, in CEL (github.com/google/cel-spec), over what the
 * accepted evidence says. The language cannot loop for ever; how large an
 * expression is, how many lists it walks through, and how long they are, is
 * bounded here. Loaded only for a policy that has rules.
 */
import { Environment } from "@marcbachmann/cel-js";
import { BitforbitError, messageOf } from "../errors.ts";

export interface CompiledRule {
  name: string;
  message: string;
  /** Undefined when it holds; otherwise why it does not. Never throws. */
  failure(facts: RuleFacts): string | undefined;
}

/** The names that an expression may use. */
export interface RuleFacts {
  artifact: { digest: string; name: string };
  builder: string;
  canonical: boolean;
  environment: string;
  source: { uri: string; ref: string; commit: string };
  signers: string[];
  log: string;
  /** Whole days since the build was finished. */
  ageDays: number;
  components: string[];
  grade: string;
  rebuilders: string[];
}

const NAMES: readonly (keyof RuleFacts)[] = [
  "artifact",
  "builder",
  "canonical",
  "environment",
  "source",
  "signers",
  "log",
  "ageDays",
  "components",
  "grade",
  "rebuilders",
];
const MAX_RULES = 64;
const MAX_EXPRESSION = 2000;
const MAX_MACROS = 2;
const MAX_LIST = 10_000;
const LIMITS = { maxAstNodes: 500, maxDepth: 32, maxListElements: 200, maxMapEntries: 50, maxCallArguments: 8 };

/** Throws `input`, naming `path`, the rule and what is wrong with it. */
export function compileRules(
  rules: readonly { name: string; expression: string; message?: string }[],
  path: string,
): CompiledRule[] {
  if (rules.length > MAX_RULES)
    throw new BitforbitError("limit", `${path}: ${rules.length} rules are over ${MAX_RULES}`);
  const environment = new Environment({ limits: LIMITS });
  for (const name of NAMES) environment.registerVariable(name, "dyn");
  return rules.map(({ name, expression, message }) => {
    const where = `${path}: the rule ${JSON.stringify(name)}`;
    if (expression.length > MAX_EXPRESSION) {
      throw new BitforbitError("limit", `${where} is longer than ${MAX_EXPRESSION} characters`);
    }
    if ((expression.match(/\.\s*(?:all|exists|exists_one|map|filter)\s*\(/g) ?? []).length > MAX_MACROS) {
      throw new BitforbitError("limit", `${where} walks through more than ${MAX_MACROS} lists`);
    }
    const run = compiled(environment, expression, where);
    return { name, message: message ?? `the rule ${name} does not hold`, failure: (facts) => failureOf(run, facts) };
  });
}

type Run = (context: Record<string, unknown>) => unknown;

function compiled(environment: Environment, expression: string, where: string): Run {
  try {
    const checked = environment.check(expression);
    if (!checked.valid) throw checked.error ?? new Error("it is not valid");
    return environment.parse(expression) as Run;
  } catch (error) {
    const [line] = messageOf(error).split("\n");
    throw new BitforbitError("input", `${where}: ${line}`, {
      cause: error,
      hint: `rules are CEL expressions over ${NAMES.join(", ")}`,
    });
  }
}

function failureOf(run: Run, facts: RuleFacts): string | undefined {
  if (facts.components.length > MAX_LIST)
    return `${facts.components.length} components are more than a rule may look at`;
  try {
    // CEL's whole numbers are bigints here.
    const value = run({ ...facts, ageDays: BigInt(facts.ageDays) });
    if (value === true) return undefined;
    return value === false ? "it is false" : "it gives no true or false";
  } catch (error) {
    return `it cannot be evaluated: ${messageOf(error).split("\n")[0]}`;
  }
}
