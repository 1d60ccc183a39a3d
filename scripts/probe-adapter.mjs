/**
 * Prints what WebGPU (npm `webgpu`, Dawn) finds here as one line of JSON: {"found": true, "name": "..."} or
 * {"found": false, "reason": "..."}. A process of its own, because a broken driver can take its process down.
 * Honours VK_ICD_FILENAMES, by which the Vulkan loader is told which driver to use.
 */
const result = await probe().catch((error) => ({
  found: false,
  reason: error instanceof Error ? error.message : String(error),
}));
// Dawn's threads would keep the process alive.
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));

async function probe() {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const backend = { darwin: 'metal', win32: 'd3d12' }[process.platform] ?? 'vulkan';
  const gpu = create([`backend=${backend}`]);
  const adapter =
    (await gpu.requestAdapter({ powerPreference: 'high-performance' })) ??
    (await gpu.requestAdapter({ forceFallbackAdapter: true }));
  if (adapter === null) return { found: false, reason: 'WebGPU found no adapter' };
  const device = await adapter.requestDevice();
  device.destroy();
  const { vendor, architecture, description } = adapter.info;
  return { found: true, name: [vendor, architecture, description].filter((s) => s !== '').join(' ') };
}
