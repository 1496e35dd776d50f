import { parse, tokenize } from "@huggingface/jinja";
import { quote } from "../../../shared/quote.js";
import { type FieldPath, fieldsIn, type Syntax } from "./template-fields.js";

/**
 * What a row is turned into text or a value by: a column's bare name, or Jinja over the row's fields. See `render()`.
 */
export interface Template {
  readonly kind: "column" | "jinja";
  /** The column's name, or the template's text. */
  readonly source: string;
  /** Where it was written: `tasks.yaml:7:14`. */
  readonly place: string;
}

/** A template, parsed. */
export interface CompiledTemplate {
  readonly program: Syntax & { readonly body: readonly Syntax[] };
  /** The template is nothing but this expression, so that it stands for the expression's value. */
  readonly expression: Syntax | undefined;
  /** The template is nothing but this field of the row, or a field of that. */
  readonly path: FieldPath | undefined;
  /** The row's fields that it looks at. */
  readonly names: ReadonlySet<string>;
  /** What the row must have. */
  readonly required: readonly FieldPath[];
}

/** Whether a text in a task file is Jinja, and not the name of a column. */
export function isJinja(source: string): boolean {
  return /\{[{%#]/.test(source);
}

const compiledTemplates = new WeakMap<Template, CompiledTemplate>();

/** The parsed form of a template, which is made once. Throws the library's error for one that does not parse. */
export function compileTemplate(template: Template): CompiledTemplate {
  const known = compiledTemplates.get(template);
  if (known !== undefined) return known;
  const compiled = template.kind === "column" ? column(template.source) : jinja(template.source);
  compiledTemplates.set(template, compiled);
  return compiled;
}

function column(name: string): CompiledTemplate {
  const path = [name];
  return {
    program: { type: "Program", body: [] },
    expression: undefined,
    path,
    names: new Set(path),
    required: [path],
  };
}

const statements: ReadonlySet<string> = new Set([
  "If",
  "For",
  "Set",
  "Macro",
  "Break",
  "Continue",
  "Comment",
  "CallStatement",
  "FilterStatement",
]);

function jinja(source: string): CompiledTemplate {
  // The library drops one line break at the end. A prompt may end in one, and lm-evaluation-harness keeps it.
  const program: CompiledTemplate["program"] = parse(tokenize(source.endsWith("\n") ? `${source}\n` : source));
  const [first, ...others] = program.body;
  const expression = first !== undefined && others.length === 0 && !statements.has(first.type) ? first : undefined;
  const { names, required } = fieldsIn(program);
  const path = isPath(expression) ? required[0] : undefined;
  return { program, expression, path, names, required };
}

function isPath(expression: Syntax | undefined): boolean {
  if (expression?.type === "Identifier") return true;
  if (expression?.type !== "MemberExpression") return false;
  const { object, property, computed } = expression as Syntax & { object: Syntax; property: Syntax };
  return isPath(object) && (computed !== true || property.type === "StringLiteral");
}

/** What keeps a text from being Jinja, in one line with the piece that is wrong; undefined when nothing does. */
export function syntaxErrorOf(source: string): string | undefined {
  try {
    parse(tokenize(source));
    return undefined;
  } catch (error) {
    // The library gives no positions, but a broken expression is broken alone too.
    const broken = (source.match(/\{\{.*?\}\}/gs) ?? []).find((piece) => !parses(piece));
    const reason = error instanceof Error ? error.message : String(error);
    if (broken === undefined) return `Not a valid template: ${reason}`;
    const character = source.indexOf(broken) + 1;
    return `Not a valid template: ${quote(broken)} at character ${character} of it does not parse (${reason})`;
  }
}

function parses(source: string): boolean {
  try {
    parse(tokenize(source));
    return true;
  } catch {
    return false;
  }
}
