/**
 * Decides how a machine gets a CPU adapter (Mesa lavapipe, 24 or later: Dawn refuses older ones) or Chromium. Decides
 * only: what the machine is comes in as data, what to do goes out as data, so that every case has a test.
 */
import { backportsSource, parseAptSources, suiteSource } from './apt-sources.mjs';

const MESA_PACKAGES = ['mesa-vulkan-drivers', 'libvulkan1'];

/** Debian's release with a Mesa 26, and the suite that has it. */
const MATRICES_RELEASE = 'trixie';
export const MATRICES_SUITE = `${MATRICES_RELEASE}-backports`;

/** First releases whose own Mesa is new enough. Debian 12 has it in its backports. */
const FIRST_PLAIN = { debian: 13, ubuntu: 24.04 };

/**
 * @param {object} machine
 * @param {string} machine.platform `process.platform`
 * @param {string} machine.osRelease text of /etc/os-release, '' when there is none
 * @param {number} machine.uid 0 is root
 * @param {{path: string, text: string}[]} machine.aptSources the files apt reads
 * @param {string} machine.command how to run the set-up script again, without options
 * @param {string[]} wanted 'lavapipe', 'chromium', 'mpi' (Open MPI)
 * @returns {import('./adapter-plan.d.mts').AdapterPlan}
 */
export function planAdapter(machine, wanted) {
  if (machine.platform !== 'linux') return manual(otherPlatform(machine.platform, wanted));
  const os = parseOsRelease(machine.osRelease);
  if (!isDebianLike(os)) return manual(otherLinux(os, wanted));
  const isForMpi = wanted.every((name) => name === 'mpi');
  const obstacle =
    (isForMpi ? undefined : tooOld(os)) ?? (wanted.includes('chromium') ? chromiumObstacle(os) : undefined);
  if (obstacle !== undefined) return manual(obstacle);
  if (machine.uid !== 0) return { kind: 'ask', command: rootCommand(machine.command, wanted) };
  return installation(machine, os, wanted);
}

/**
 * The adapters that can be had without root, the faster one first, each with the reason why this machine cannot have it.
 * @param {object} machine as above, and
 * @param {string} machine.arch `process.arch`
 * @param {readonly string[]} machine.programs those of apt-get and dpkg-deb that it has
 * @returns {import('./adapter-plan.d.mts').Rung[]}
 */
export function planWithoutRoot(machine) {
  const { platform, arch, programs, aptSources } = machine;
  const notHere =
    platform === 'linux' && arch === 'x64'
      ? undefined
      : `it is packaged for Linux on x86-64, and this is ${platform} on ${arch}`;
  const parsed = parseAptSources(aptSources);
  const sources = [MATRICES_RELEASE, MATRICES_SUITE].map((suite) => suiteSource(parsed, suite));
  const missing = ['apt-get', 'dpkg-deb'].filter((name) => !programs.includes(name));
  const noApt =
    missing.length > 0
      ? `this machine has no ${missing.join(' and no ')}`
      : sources.includes(null)
        ? 'the apt sources of this machine name no Debian mirror to take it from'
        : undefined;
  return [
    { name: 'lavapipe-matrices', obstacle: notHere ?? noApt, sources: sources.join('') },
    { name: 'swiftshader', obstacle: notHere },
  ];
}

/** The fields of /etc/os-release, unquoted. */
export function parseOsRelease(text) {
  const fields = {};
  for (const line of text.split('\n')) {
    const match = /^([A-Z0-9_]+)=(.*)$/.exec(line.trim());
    if (match !== null) fields[match[1]] = match[2].replace(/^(["'])(.*)\1$/, '$2');
  }
  return fields;
}

function installation(machine, os, wanted) {
  const files = [];
  const commands = [['apt-get', 'update', '-q']];
  if (wanted.includes('lavapipe')) {
    let release = [];
    if (needsBackports(os)) {
      const source = backportsSource(parseAptSources(machine.aptSources), os.VERSION_CODENAME);
      if (source === null) return manual(noMirror(os));
      if (source !== undefined) files.push(source);
      release = ['-t', `${os.VERSION_CODENAME}-backports`];
    }
    commands.push(aptInstall(release, MESA_PACKAGES));
  }
  if (wanted.includes('chromium')) commands.push(aptInstall([], ['chromium']));
  if (wanted.includes('mpi')) commands.push(aptInstall([], ['openmpi-bin']));
  return { kind: 'install', files, commands };
}

function aptInstall(release, packages) {
  return [
    'apt-get',
    'install',
    '-q',
    '-y',
    '--no-install-recommends',
    '-o',
    'DPkg::Lock::Timeout=120',
    ...release,
    ...packages,
  ];
}

function rootCommand(command, wanted) {
  const more = [
    ['chromium', ' --with-browser'],
    ['mpi', ' --with-mpi'],
  ].filter(([name]) => wanted.includes(name));
  return `sudo ${command} --install-adapter${more.map(([, option]) => option).join('')}`;
}

function isDebianLike(os) {
  return [os.ID, ...(os.ID_LIKE ?? '').split(' ')].some((id) => id === 'debian' || id === 'ubuntu');
}

function needsBackports(os) {
  return (os.ID === 'debian' || os.ID === 'raspbian') && Number.parseFloat(os.VERSION_ID ?? '') === 12;
}

/** Debian's testing and unstable have no VERSION_ID; derivatives count their own releases and are given a try. */
function tooOld(os) {
  const release = Number.parseFloat(os.VERSION_ID ?? '');
  const first = FIRST_PLAIN[os.ID];
  if (first === undefined || Number.isNaN(release) || release >= first || needsBackports(os))
    return undefined;
  return [
    `${os.PRETTY_NAME ?? os.ID} ships a Mesa older than 24, whose CPU adapter WebGPU refuses.`,
    'Use Debian 12 or later, Ubuntu 24.04 or later, or a machine with a GPU and its Vulkan driver.',
  ];
}

function chromiumObstacle(os) {
  if (os.ID !== 'ubuntu') return undefined;
  return [
    'Ubuntu has no chromium package (its own is a snap that cannot be used by scripts).',
    'Install a chromium with /usr/lib/chromium/vk_swiftshader_icd.json by hand, or leave --with-browser out.',
  ];
}

function otherLinux(os, wanted) {
  const ids = [os.ID, ...(os.ID_LIKE ?? '').split(' ')];
  const lines = [
    `No WebGPU adapter was found, and ${os.PRETTY_NAME ?? 'this Linux'} is not one this script installs on.`,
  ];
  const chromium = wanted.includes('chromium') ? ' chromium' : '';
  if (ids.includes('fedora')) {
    return [...lines, `Install one with: sudo dnf install mesa-vulkan-drivers vulkan-loader${chromium}`];
  }
  if (ids.includes('arch')) {
    return [...lines, `Install one with: sudo pacman -S vulkan-swrast vulkan-icd-loader${chromium}`];
  }
  if (ids.includes('suse') || ids.includes('opensuse')) {
    return [...lines, `Install one with: sudo zypper install Mesa-vulkan-lavapipe libvulkan1${chromium}`];
  }
  return [
    ...lines,
    'Install the Vulkan loader and Mesa lavapipe, 24 or later, or the Vulkan driver of your GPU.',
  ];
}

function otherPlatform(platform, wanted) {
  const what = wanted.includes('lavapipe') ? 'a WebGPU adapter' : 'Chromium';
  return [
    `This script cannot install ${what} on ${platform}.`,
    'macOS (Metal) and Windows (Direct3D 12) bring an adapter with their GPU driver: update it.',
  ];
}

function noMirror(os) {
  return [
    `The CPU adapter comes from ${os.VERSION_CODENAME}-backports, but the apt sources of this machine name no Debian mirror to take it from.`,
    `Add ${os.VERSION_CODENAME}-backports to /etc/apt/sources.list and run this again.`,
  ];
}

function manual(lines) {
  return { kind: 'manual', lines };
}
