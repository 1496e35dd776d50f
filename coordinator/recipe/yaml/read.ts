import { Composer, type CST, type Document, LineCounter, Parser } from "yaml";
import type { Complaints } from "../complaints.js";
import { assertModest, assertSmall } from "./limits.js";
import type { Locate, YamlNode } from "./node.js";
import { describeSyntaxError } from "./syntax.js";
import { plainTree } from "./tree.js";

/**
 * Reads YAML 1.2 text with the core schema (`off` is a string, `07` is 7). Returns undefined for a file without
 * content. Throws at once on what leaves nothing sensible to read: a limit exceeded, a tag, broken syntax.
 */
export function readYaml(text: string, complaints: Complaints): YamlNode | undefined {
  assertSmall(text, complaints);
  // Windows editors put a byte order mark before the first column.
  const source = text.replace(/^\uFEFF/, "");
  const lines = new LineCounter();
  const tokens = [...new Parser(lines.addNewLine).parse(source)];
  const locate: Locate = (offset) => {
    const { line, col } = lines.linePos(offset);
    // To the counter, a text without a single character has no line 1.
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  assertModest(tokens, locate, complaints);

  const [document, second] = compose(tokens, source.length);
  if (second !== undefined) {
    complaints.add(locate(second.range[0]), "Several documents in one file are not supported yet");
  }
  // One slip in the indentation makes every line after it look wrong: only the first error is the author's.
  const error = document?.errors[0];
  if (error !== undefined) {
    complaints.fail(locate(error.pos[0]), `Not valid YAML: ${describeSyntaxError(error, source)}`);
  }
  return document?.contents ? plainTree(document.contents, locate, complaints) : undefined;
}

/** The first two documents of the file: the recipe, and proof that there is another. */
function compose(tokens: readonly CST.Token[], length: number): Document.Parsed[] {
  // Keys that appear twice are the tree's to find: it knows their names, and takes linear time.
  const composer = new Composer({ schema: "core", resolveKnownTags: false, stringKeys: true, uniqueKeys: false });
  const documents: Document.Parsed[] = [];
  for (const document of composer.compose(tokens, true, length)) {
    documents.push(document);
    if (documents.length === 2) break;
  }
  return documents;
}
