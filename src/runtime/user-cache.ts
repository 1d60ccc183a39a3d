/** Where programs keep what they can make again, for Node and Deno. */

/** $XDG_CACHE_HOME/prefgrad, or .cache/prefgrad in the home directory; undefined for a user who has none. */
export function userCache(): string | undefined {
  const { XDG_CACHE_HOME, HOME, USERPROFILE } = process.env;
  const home = HOME ?? USERPROFILE;
  const caches = XDG_CACHE_HOME || (home && `${home}/.cache`);
  return caches ? `${caches}/prefgrad` : undefined;
}
