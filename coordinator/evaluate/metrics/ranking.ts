/** What one query's ranking is worth. */
export interface RankingScores {
  readonly ndcg: number;
  readonly recall: number;
  /** 1 over the rank of the first relevant document, 0 when none is among the first. */
  readonly reciprocalRank: number;
}

/**
 * Scores of a ranking, best document first, by its first `at` documents, with trec_eval's definitions (`ndcg_cut`,
 * `recall`; as BEIR uses them): the gain of a document is its relevance, discounted by log2(rank + 1), over the gain of
 * the best possible ranking. Documents without a positive relevance count as not relevant. 0 where nothing is relevant.
 */
export function scoreRanking(
  ranking: readonly string[],
  relevance: ReadonlyMap<string, number>,
  at: number,
): RankingScores {
  const top = ranking.slice(0, at);
  const gains = top.map((document) => Math.max(0, relevance.get(document) ?? 0));
  const ideal = [...relevance.values()].filter((gain) => gain > 0).sort((a, b) => b - a);
  if (ideal.length === 0) return { ndcg: 0, recall: 0, reciprocalRank: 0 };
  const first = gains.findIndex((gain) => gain > 0);
  return {
    ndcg: discounted(gains) / discounted(ideal.slice(0, at)),
    recall: gains.filter((gain) => gain > 0).length / ideal.length,
    reciprocalRank: first < 0 ? 0 : 1 / (first + 1),
  };
}

function discounted(gains: readonly number[]): number {
  return gains.reduce((sum, gain, i) => sum + gain / Math.log2(i + 2), 0);
}

/**
 * The best `count` documents by score, best first. Of equal scores the id that sorts later wins, as in trec_eval; its
 * scores are single precision, and so scores are equal that differ less. A document whose score is NaN is not found.
 */
export function topDocuments(
  scores: Float32Array,
  ids: readonly string[],
  count: number,
  skip?: string,
): readonly string[] {
  const isBefore = (a: number, b: number): boolean => {
    const [scoreA, scoreB] = [scores[a] ?? 0, scores[b] ?? 0];
    return scoreA > scoreB || (scoreA === scoreB && Buffer.compare(bytesOf(ids, a), bytesOf(ids, b)) > 0);
  };
  const best: number[] = [];
  for (let document = 0; document < scores.length; document++) {
    if (ids[document] === skip || Number.isNaN(scores[document])) continue;
    const last = best.at(-1);
    if (best.length === count && last !== undefined && !isBefore(document, last)) continue;
    let place = best.length;
    while (place > 0 && isBefore(document, best[place - 1] ?? 0)) place--;
    best.splice(place, 0, document);
    if (best.length > count) best.pop();
  }
  return best.map((document) => ids[document] ?? "");
}

function bytesOf(ids: readonly string[], index: number): Uint8Array {
  return Buffer.from(ids[index] ?? "");
}
