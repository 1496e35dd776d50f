import type { AnswerLoss } from "./answer-loss.js";
import { crossEntropy } from "./cross-entropy.js";
import { distillation } from "./distillation.js";
import { entropy } from "./entropy.js";
import { infoNce } from "./info-nce.js";
import { squaredError } from "./squared-error.js";

/** Every loss that a sweep may name as an objective. */
export const answerLosses: readonly AnswerLoss[] = [entropy, crossEntropy, distillation, squaredError, infoNce];
