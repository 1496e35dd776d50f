/** A node of a template's syntax tree, as the library makes them. */
export interface Syntax {
  readonly type: string;
  readonly [part: string]: unknown;
}

/** A field, or a field of a field: `["choices", "text"]` for `choices.text`. */
export type FieldPath = readonly string[];

/** What every template knows besides the row's fields. */
const constants: readonly string[] = ["true", "false", "none", "True", "False", "None"];

/**
 * The row's fields that a template looks at, and those that the row must have: all but what stands before `is defined`
 * or the filter `default`. A method's name is no field: of `title.strip()` it is `title` alone.
 */
export function fieldsIn(program: Syntax): { names: ReadonlySet<string>; required: readonly FieldPath[] } {
  const finder = new FieldFinder();
  finder.visit(program, new Set(constants));
  return finder;
}

class FieldFinder {
  readonly names = new Set<string>();
  readonly required: FieldPath[] = [];

  /** `bound`: names that loops, macros and `set` give a value. */
  visit(node: unknown, bound: Set<string>, optional = false): void {
    if (Array.isArray(node)) for (const item of node) this.visit(item, bound);
    if (node instanceof Map) for (const entry of node) this.visit(entry, bound);
    if (!isSyntax(node)) return;
    const path = pathOf(node);
    if (path !== undefined) this.#note(path, bound, optional);
    else this.#visitParts(node, bound);
  }

  #note(path: FieldPath, bound: ReadonlySet<string>, optional: boolean): void {
    const [name = ""] = path;
    if (bound.has(name)) return;
    this.names.add(name);
    if (!optional) this.required.push(path);
  }

  #visitParts(node: Syntax, bound: Set<string>): void {
    if (node.type === "CallExpression") {
      // A function's own name is no field, and neither is a method's.
      if (!hasType(node["callee"], "Identifier")) this.visit(partOf(node["callee"], "object"), bound);
      this.visit(node["args"], bound);
    } else if (node.type === "FilterExpression") {
      this.visit(node["operand"], bound, ["default", "d"].includes(nameOfFilter(node["filter"])));
      this.visit(partOf(node["filter"], "args"), bound);
    } else if (node.type === "TestExpression") {
      this.visit(node["operand"], bound, ["defined", "undefined"].includes(nameOf(node["test"])));
    } else if (node.type === "KeywordArgumentExpression") this.visit(node["value"], bound);
    else if (node.type === "For") this.#visitFor(node, bound);
    else if (node.type === "Set") {
      this.visit([node["value"], node["body"]], bound);
      bind(node["assignee"], bound);
    } else if (node.type === "Macro") this.#visitMacro(node, bound);
    // An operator is a token, and the one of "and" looks like a name.
    else for (const [key, part] of Object.entries(node)) if (key !== "operator") this.visit(part, bound);
  }

  #visitMacro(node: Syntax, bound: Set<string>): void {
    bind(node["name"], bound);
    const inside = new Set(bound);
    bind(node["args"], inside);
    this.visit(node["body"], inside);
  }

  #visitFor(node: Syntax, bound: ReadonlySet<string>): void {
    const inside = new Set([...bound, "loop"]);
    bind(node["loopvar"], inside);
    const { iterable } = node as Syntax & { iterable: unknown };
    const isFiltered = hasType(iterable, "SelectExpression");
    this.visit(isFiltered ? partOf(iterable, "lhs") : iterable, new Set(bound));
    if (isFiltered) this.visit(partOf(iterable, "test"), inside);
    this.visit(node["body"], inside);
    this.visit(node["defaultBlock"], new Set(bound));
  }
}

/** Of `a`, `a.b` and `a["b"]`. */
function pathOf(node: unknown): FieldPath | undefined {
  if (hasType(node, "Identifier")) return [nameOf(node)];
  if (!hasType(node, "MemberExpression")) return undefined;
  const { object, property, computed } = node;
  const before = pathOf(object);
  const isName = computed === true ? hasType(property, "StringLiteral") : hasType(property, "Identifier");
  return before !== undefined && isName ? [...before, nameOf(property)] : undefined;
}

/** Adds the names that a loop variable, an assignment or a macro's arguments give a value. */
function bind(target: unknown, bound: Set<string>): void {
  if (Array.isArray(target)) for (const each of target) bind(each, bound);
  if (hasType(target, "TupleLiteral")) bind(target["value"], bound);
  if (hasType(target, "KeywordArgumentExpression")) bind(target["key"], bound);
  if (hasType(target, "Identifier")) bound.add(nameOf(target));
}

function isSyntax(node: unknown): node is Syntax {
  return typeof node === "object" && node !== null && "type" in node && typeof node.type === "string";
}

function hasType(node: unknown, type: string): node is Syntax {
  return isSyntax(node) && node.type === type;
}

function partOf(node: unknown, part: string): unknown {
  return isSyntax(node) ? node[part] : undefined;
}

function nameOf(node: unknown): string {
  return String(partOf(node, "value"));
}

function nameOfFilter(filter: unknown): string {
  return nameOf(hasType(filter, "CallExpression") ? filter["callee"] : filter);
}
