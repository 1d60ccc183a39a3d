/** Whatever answers requests for text: an endpoint, or a model on this machine's GPU. */
import type { LlmRequest } from '../llm/request.ts';
import type { LlmAnswer } from '../llm/response.ts';

export interface CompletionModel {
  /** @throws LlmError where this request failed for now */
  complete(request: LlmRequest): Promise<LlmAnswer>;
}
