import { Composer, type CST, type Document, Lexer, LineCounter, Parser } from "yaml";
import type { Complaints } from "../complaints.js";
import { assertModest, assertSmall, maxDepth, tooDeep } from "./limits.js";
import type { Locate, YamlNode } from "./node.js";
import { describeSyntaxError } from "./syntax.js";
import { plainTrees } from "./tree.js";

/**
 * Reads YAML 1.2 text with the core schema (`off` is a string, `07` is 7). One node for each document that has any
 * content. Throws at once on what leaves nothing sensible to read: a limit exceeded, a tag, broken syntax. `what`: the text's name in these errors.
 */
export function readYaml(text: string, complaints: Complaints, what = "recipe"): readonly YamlNode[] {
  assertSmall(text, what, complaints);
  // Windows editors put a byte order mark before the first column.
  const source = text.replace(/^\uFEFF/, "");
  const lines = new LineCounter();
  const locate: Locate = (offset) => {
    const { line, col } = lines.linePos(offset);
    // To the counter, a text without a single character has no line 1.
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const tokens = parse(source, lines, (offset) => complaints.fail(locate(offset), tooDeep));
  assertModest(tokens, what, locate, complaints);

  const documents = compose(tokens, source.length);
  // One slip in the indentation makes every line after it look wrong: only the first error is the author's.
  const error = documents.find(({ errors }) => errors.length > 0)?.errors[0];
  if (error !== undefined) {
    complaints.fail(locate(error.pos[0]), `Not valid YAML: ${describeSyntaxError(error, source)}`);
  }
  const contents = documents.map((document) => document.contents).filter((content) => content !== null);
  return plainTrees(contents, what, locate, complaints);
}

/** What `Parser.parse()` does, but that it ends at the bracket that is too many: the parser takes its time for thousands of them. */
function parse(source: string, lines: LineCounter, onTooDeep: (offset: number) => never): readonly CST.Token[] {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  const tokens: CST.Token[] = [];
  let depth = 0;
  for (const lexeme of new Lexer().lex(source)) {
    if (lexeme === "[" || lexeme === "{") depth += 1;
    if (lexeme === "]" || lexeme === "}") depth -= 1;
    if (depth > maxDepth) onTooDeep(parser.offset);
    tokens.push(...parser.next(lexeme));
  }
  tokens.push(...parser.end());
  return tokens;
}

function compose(tokens: readonly CST.Token[], length: number): Document.Parsed[] {
  // Keys that appear twice are the tree's to find: it knows their names, and takes linear time.
  const composer = new Composer({ schema: "core", resolveKnownTags: false, stringKeys: true, uniqueKeys: false });
  return [...composer.compose(tokens, true, length)];
}
