/**
 * Whether an adapter is software. One rule for everything that asks.
 * @internal
 */
export function isSoftware({
  vendor,
  architecture,
  device,
  description,
}: Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description'>): boolean {
  return isSoftwareName(`${vendor} ${architecture} ${device} ${description}`);
}

/** The same of the name in the list of devices. */
export function isSoftwareName(name: string): boolean {
  return /llvmpipe|swiftshader|software|\bcpu\b/i.test(name);
}
