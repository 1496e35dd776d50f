import { chain, type GraphPart, type Step, storedName } from "./chain.js";
import { type Place, storedTensor } from "./external-data.js";
import { scaleNodes } from "./fp8-scales.js";
import { makeNode } from "./tensors.js";
import type { PlannedPiece, PlannedWeight } from "./weight-plan.js";

/** The initializers and nodes that make a weight of what the checkpoint stores. */
export function weightNodes({ name, dataType, pieces, axis }: PlannedWeight, place: Place): GraphPart {
  const [first, ...rest] = pieces;
  if (rest.length === 0) return pieceNodes(name, first, dataType, place);
  const names = pieces.map((_, i) => `${name}/piece/${i}`);
  const parts = pieces.map((piece, i) => pieceNodes(names[i] ?? "", piece, dataType, place));
  const concat = makeNode("Concat", names, name, { axis });
  return {
    initializers: parts.flatMap(({ initializers }) => initializers),
    nodes: [...parts.flatMap(({ nodes }) => nodes), concat],
  };
}

function pieceNodes(name: string, piece: PlannedPiece, dataType: number, place: Place): GraphPart {
  const { tensor, reading, scale, transposed } = piece;
  const scaled = scale && scaleNodes(`${name}/scale`, scale, place);
  const steps: Step[] = [];
  if (reading.needsCast) steps.push({ opType: "Cast", attributes: { to: dataType } });
  if (scaled) steps.push({ opType: "Mul", others: [`${name}/scale`] });
  if (transposed) steps.push({ opType: "Transpose", attributes: { perm: [1, 0] } });
  const stored = storedTensor(storedName(name, steps), tensor, reading.stored, place);
  return {
    initializers: [stored, ...(scaled?.initializers ?? [])],
    nodes: [...(scaled?.nodes ?? []), ...chain(name, steps)],
  };
}
