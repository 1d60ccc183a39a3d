/** From what a machine has to what its owner should do. A pure function, so that machines we do not own are tested. */
import type { DeviceFacts, FeatureFacts } from './doctor-report.ts';

export interface Findings {
  readonly platform: string;
  readonly devices: readonly DeviceFacts[];
  readonly features: readonly FeatureFacts[];
  /** /dev/nvidiactl exists: an NVIDIA kernel driver is loaded. */
  readonly hasNvidiaDevice: boolean;
  /** Some /dev/dri/renderD* exists, and whether this user may open one. */
  readonly renderNode: 'none' | 'forbidden' | 'open';
  /** Why the chosen device could not be used or miscomputes, if so. */
  readonly failure: string | undefined;
  /** The command that installs the CPU adapter. */
  readonly setupCommand: string;
}

/** One sentence or two each, the command last. */
export function adviceFor(findings: Findings): string[] {
  const { devices, platform } = findings;
  const advice: string[] = [];
  if (findings.failure !== undefined) advice.push(`The chosen device does not work: ${findings.failure}`);
  if (devices.length === 0) advice.push(missingDevice(platform, findings.setupCommand));
  if (findings.hasNvidiaDevice && !devices.some((a) => /nvidia/i.test(a.vendor))) {
    advice.push(
      'An NVIDIA driver is loaded, but Vulkan does not see the card. Install its Vulkan part (libGLX_nvidia.so.0 and ' +
        'nvidia_icd.json; Debian: apt-get install nvidia-vulkan-icd; Ubuntu: apt-get install libnvidia-gl-NNN) and the ' +
        'loader (libvulkan1). In a container, start it with NVIDIA_DRIVER_CAPABILITIES=all.',
    );
  }
  if (findings.renderNode === 'forbidden') {
    advice.push(
      'This user may not open /dev/dri/renderD*: sudo usermod -aG render,video "$USER", then log in again.',
    );
  }
  const chosen = devices.find(({ isChosen }) => isChosen);
  if (chosen?.type === 'CPU' && findings.renderNode === 'open' && !findings.hasNvidiaDevice) {
    advice.push(
      'There is a graphics device, but no Vulkan driver for it: Debian and Ubuntu have those of Intel and AMD in ' +
        'mesa-vulkan-drivers (sudo apt-get install mesa-vulkan-drivers).',
    );
  }
  if (chosen?.type === 'GPU') advice.push(...missingOnGpu(findings));
  return advice;
}

function missingDevice(platform: string, setupCommand: string): string {
  if (platform !== 'linux') return 'There is no WebGPU adapter: update the driver of your GPU.';
  return (
    'There is no WebGPU adapter. With a GPU, install its Vulkan driver and the loader (libvulkan1). Without one, ' +
    `Mesa lavapipe 24 or later runs on the CPU; this installs it or prints the one command to run: ${setupCommand}`
  );
}

function missingOnGpu({ features, devices: [first] }: Findings): string[] {
  const lacks = (name: string) => features.some((f) => f.name === name && !f.present);
  const advice: string[] = [];
  if (lacks('shader-f16')) advice.push('No 16-bit arithmetic: a newer driver may bring it.');
  if (lacks('chromium-experimental-subgroup-matrix') && /nvidia/i.test(first.vendor)) {
    advice.push('No tensor cores: they need a driver with VK_KHR_cooperative_matrix; update it.');
  }
  return advice;
}
