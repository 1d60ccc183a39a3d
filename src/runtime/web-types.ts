/**
 * Types that browsers and Node have, by a way that also compiles where neither's types are loaded: there they are `never`,
 * and only what needs them cannot be called.
 */

export type WebBlob = typeof globalThis extends { readonly Blob: { readonly prototype: infer T } }
  ? T
  : never;

export type WebFetch = typeof globalThis extends { readonly fetch: infer T } ? T : never;
