import { quote } from "../../../shared/quote.js";
import { renderNumber, renderText } from "../tasks/render.js";
import type { RetrievalSettings } from "../tasks/settings.js";
import type { PrepareContext } from "./context.js";
import { rowError } from "./mismatch.js";

/** How relevant which document is, by query and then by document. Each pair is judged once. */
export async function readRelevance(
  { relevance }: RetrievalSettings,
  context: Pick<PrepareContext, "readRows">,
): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
  const judged = new Map<string, Map<string, number>>();
  for (const row of await context.readRows(relevance.data, {})) {
    const query = renderText(relevance.query, row);
    const document = renderText(relevance.document, row);
    const score = relevance.score === undefined ? 1 : renderNumber(relevance.score, row);
    const own = judged.get(query) ?? new Map<string, number>();
    judged.set(query, own);
    if (own.has(document))
      throw rowError(row, `Query ${quote(query)} and document ${quote(document)} are judged already`);
    own.set(document, score);
  }
  return judged;
}
