/** What goes wrong between us and the hub, as sentences with the remedy. */
import { InputError } from '../../errors.ts';
import { type HubRepo, hubPathText } from './path.ts';

const FILES_ELSEWHERE =
  'Download it on a machine that can ("hf download OWNER/NAME") and copy HF_HOME/hub, or name a local directory or file';

/** True when the hub was not reached at all: no network, no such host, connection broken. */
export function isUnreachable(error: unknown): boolean {
  return statusOf(error) === undefined && !(error instanceof InputError);
}

/** The error to show for a failed call about `repo`. */
export function describeHubError(repo: HubRepo, error: unknown): InputError {
  if (error instanceof InputError) return error;
  const name = hubPathText(repo);
  switch (statusOf(error)) {
    case 401:
    case 403:
    case 404:
      return new InputError(
        `${name}: the hub answers ${statusOf(error)}. Check the name and the revision; a private or gated ${repo.type} ` +
          'needs a token of somebody who may read it in HF_TOKEN, and its conditions accepted on its page',
      );
    case 429:
      return new InputError(`${name}: the hub answers 429, too many requests. Wait, or set HF_TOKEN`);
    case undefined:
      return new InputError(`${name}: the hub cannot be reached (${causeOf(error)}). ${FILES_ELSEWHERE}`);
    default:
      return new InputError(
        `${name}: the hub answers ${statusOf(error)} (${causeOf(error)}). Try again later`,
      );
  }
}

/** The error for what the cache lacks while HF_HUB_OFFLINE is set. */
export function offlineError(name: string): InputError {
  return new InputError(
    `${name}: is not in the hub's cache, and HF_HUB_OFFLINE is set. Unset it, or: ${FILES_ELSEWHERE}`,
  );
}

function statusOf(error: unknown): number | undefined {
  const status = typeof error === 'object' && error !== null && 'statusCode' in error && error.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** 'fetch failed' hides the reason in its cause. */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  const inner = cause instanceof Error ? cause.message || ('code' in cause ? String(cause.code) : '') : '';
  return inner || error.message;
}
