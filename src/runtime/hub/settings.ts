/** What the environment says about the hub, in the variables that huggingface_hub reads. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { InputError } from '../../errors.ts';

export interface HubSettings {
  /** HF_ENDPOINT, without '/' at its end; undefined is the hub itself. */
  readonly endpoint: string | undefined;
  /** HF_TOKEN, or what `hf auth login` has saved. */
  readonly token: string | undefined;
  /** HF_HUB_OFFLINE: nothing but the cache is read. */
  readonly offline: boolean;
}

/** @throws InputError for a token that is none */
export async function hubSettings(): Promise<HubSettings> {
  const { HF_ENDPOINT, HF_HUB_OFFLINE = '' } = process.env;
  const token = await accessToken();
  if (token !== undefined && !token.startsWith('hf_')) {
    throw new InputError("The hub's access token does not begin with 'hf_'; check HF_TOKEN.");
  }
  return {
    endpoint: HF_ENDPOINT?.replace(/\/+$/, '') || undefined,
    token,
    offline: /^(1|on|yes|true)$/i.test(HF_HUB_OFFLINE),
  };
}

async function accessToken(): Promise<string | undefined> {
  const { HF_TOKEN, HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME } = process.env;
  if (HF_TOKEN) return HF_TOKEN.trim();
  const home = HF_HOME || `${XDG_CACHE_HOME || `${homedir()}/.cache`}/huggingface`;
  const saved = await readFile(HF_TOKEN_PATH || `${home}/token`, 'utf8').catch(() => '');
  return saved.trim() || undefined;
}
