import { describe, expect, it } from 'vitest';
import { type Machine, planAdapter, planWithoutRoot } from '../../scripts/adapter-plan.mjs';

const DEBIAN_12 =
  'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n';
const DEBIAN_13 =
  'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n';
const DEBIAN_11 =
  'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nVERSION_ID="11"\nVERSION_CODENAME=bullseye\nID=debian\n';
const DEBIAN_SID = 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nVERSION_CODENAME=forky\nID=debian\n';
const UBUNTU_24_04 =
  'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n';
const UBUNTU_22_04 =
  'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\nID=ubuntu\nID_LIKE=debian\n';
const MINT = 'PRETTY_NAME="Linux Mint 22"\nVERSION_ID="22"\nID=linuxmint\nID_LIKE="ubuntu debian"\n';
const FEDORA = 'NAME="Fedora Linux"\nPRETTY_NAME="Fedora Linux 41"\nID=fedora\nVERSION_ID=41\n';
const ARCH = 'PRETTY_NAME="Arch Linux"\nID=arch\n';

const deb822 = {
  path: '/etc/apt/sources.list.d/debian.sources',
  text: `Types: deb
# a comment inside a stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`,
};

const oneLine = {
  path: '/etc/apt/sources.list',
  text: `# deb cdrom:[Debian 12]/ bookworm main
deb cdrom:[Debian]/ bookworm main
deb [signed-by=/etc/keyring.gpg] http://mirror.example/debian/ bookworm main non-free-firmware # main archive
deb http://mirror.example/debian/ bookworm-updates main
deb-src http://mirror.example/debian/ bookworm main
`,
};

function machine(osRelease: string, rest: Partial<Machine> = {}): Machine {
  return { platform: 'linux', osRelease, uid: 0, aptSources: [], command: 'node scripts/setup.mjs', ...rest };
}

/** The packages of the last command, and the release they are taken from. */
function installed(plan: ReturnType<typeof planAdapter>) {
  if (plan.kind !== 'install') throw new Error(`expected an installation, got ${JSON.stringify(plan)}`);
  return plan.commands.map((command) => command.join(' '));
}

const INSTALL = 'apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120';
const MESA = 'mesa-vulkan-drivers libvulkan1';

describe('Open MPI', () => {
  it('is one package, also where Mesa is too old', () => {
    expect(installed(planAdapter(machine(UBUNTU_22_04), ['mpi']))).toEqual([
      'apt-get update -q',
      `${INSTALL} openmpi-bin`,
    ]);
  });

  it('is asked for in one command by whoever is not root', () => {
    const plan = planAdapter(machine(DEBIAN_13, { uid: 1000 }), ['mpi']);
    expect(plan).toEqual({
      kind: 'ask',
      command: 'sudo node scripts/setup.mjs --install-adapter --with-mpi',
    });
  });
});

describe('on Debian 12, whose own Mesa is too old', () => {
  it('derives backports from deb822 sources: same mirror, same key', () => {
    const plan = planAdapter(machine(DEBIAN_12, { aptSources: [deb822] }), ['lavapipe']);
    expect(installed(plan)).toEqual(['apt-get update -q', `${INSTALL} -t bookworm-backports ${MESA}`]);
    expect(plan).toMatchObject({
      files: [
        {
          path: '/etc/apt/sources.list.d/prefgrad-backports.sources',
          text: `Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`,
        },
      ],
    });
  });

  it('keeps a key that is written into the source itself', () => {
    const key =
      'Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY\n -----END PGP PUBLIC KEY BLOCK-----';
    const text = `Types: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\n${key}\n`;
    const plan = planAdapter(machine(DEBIAN_12, { aptSources: [{ path: 'a.sources', text }] }), ['lavapipe']);
    expect(plan).toMatchObject({ files: [{ text: expect.stringContaining(key) }] });
  });

  it('derives backports from one-line sources, with their options, and takes no CD for a mirror', () => {
    const plan = planAdapter(machine(DEBIAN_12, { aptSources: [oneLine] }), ['lavapipe']);
    expect(plan).toMatchObject({
      files: [
        {
          path: '/etc/apt/sources.list.d/prefgrad-backports.list',
          text: 'deb [signed-by=/etc/keyring.gpg] http://mirror.example/debian/ bookworm-backports main\n',
        },
      ],
    });
  });

  it('adds no source where backports are configured already', () => {
    const backports = {
      path: '/etc/apt/sources.list.d/b.list',
      text: 'deb http://m.example/debian bookworm-backports main\n',
    };
    const plan = planAdapter(machine(DEBIAN_12, { aptSources: [oneLine, backports] }), ['lavapipe']);
    expect(plan).toMatchObject({ kind: 'install', files: [] });
  });

  it('is not misled by other repositories for the same release', () => {
    const vendor = {
      path: '/etc/apt/sources.list.d/a-vendor.list',
      text: 'deb http://vendor.example/apt bookworm main\n',
    };
    const plan = planAdapter(machine(DEBIAN_12, { aptSources: [vendor, deb822] }), ['lavapipe']);
    expect(plan).toMatchObject({
      files: [{ text: expect.stringContaining('http://mirror.example/debian\n') }],
    });
  });

  it('ignores sources that are switched off', () => {
    const off = {
      path: 'debian.sources',
      text: deb822.text.replace('Types: deb\n#', 'Enabled: no\nTypes: deb\n#'),
    };
    const plan = planAdapter(machine(DEBIAN_12, { aptSources: [off] }), ['lavapipe']);
    expect(plan.kind).toBe('manual');
  });

  it('takes Chromium from the release itself', () => {
    const plan = planAdapter(machine(DEBIAN_12, { aptSources: [deb822] }), ['lavapipe', 'chromium']);
    expect(installed(plan).slice(1)).toEqual([
      `${INSTALL} -t bookworm-backports ${MESA}`,
      `${INSTALL} chromium`,
    ]);
    expect(planAdapter(machine(DEBIAN_12), ['chromium'])).toMatchObject({ kind: 'install', files: [] });
  });
});

describe('on releases whose own Mesa is new enough', () => {
  it.each([
    ['Debian 13', DEBIAN_13],
    ['Debian unstable', DEBIAN_SID],
    ['Ubuntu 24.04', UBUNTU_24_04],
    ['a derivative', MINT],
  ])('installs it plainly on %s', (_, osRelease) => {
    const plan = planAdapter(machine(osRelease, { aptSources: [deb822] }), ['lavapipe']);
    expect(installed(plan)).toEqual(['apt-get update -q', `${INSTALL} ${MESA}`]);
    expect(plan).toMatchObject({ files: [] });
  });
});

describe('where it may not or cannot install', () => {
  it.each([DEBIAN_12, DEBIAN_13, UBUNTU_24_04])(
    'prints one command to users who are not root',
    (osRelease) => {
      const user = machine(osRelease, { uid: 1000, aptSources: [deb822] });
      expect(planAdapter(user, ['lavapipe'])).toEqual({
        kind: 'ask',
        command: 'sudo node scripts/setup.mjs --install-adapter',
      });
    },
  );

  it('carries the wish for a browser into that command', () => {
    expect(planAdapter(machine(DEBIAN_13, { uid: 1000 }), ['chromium'])).toEqual({
      kind: 'ask',
      command: 'sudo node scripts/setup.mjs --install-adapter --with-browser',
    });
  });

  it.each([
    ['Fedora', FEDORA, 'dnf install mesa-vulkan-drivers'],
    ['Arch', ARCH, 'pacman -S vulkan-swrast'],
    ['an unknown Linux', '', 'Mesa lavapipe, 24 or later'],
    ['Debian 11', DEBIAN_11, 'Mesa older than 24'],
    ['Ubuntu 22.04', UBUNTU_22_04, 'Mesa older than 24'],
  ])('says what to install on %s', (_, osRelease, text) => {
    const plan = planAdapter(machine(osRelease), ['lavapipe']);
    expect(plan).toMatchObject({
      kind: 'manual',
      lines: expect.arrayContaining([expect.stringContaining(text)]),
    });
  });

  it('says on Ubuntu that its Chromium is of no use, and on macOS that the driver brings the adapter', () => {
    const text = (plan: unknown) => JSON.stringify(plan);
    expect(text(planAdapter(machine(UBUNTU_24_04), ['chromium']))).toContain('snap');
    expect(text(planAdapter(machine('', { platform: 'darwin' }), ['lavapipe']))).toContain('Metal');
  });
});

describe('without root', () => {
  const debian = { platform: 'linux', arch: 'x64', programs: ['apt-get', 'dpkg-deb'], aptSources: [deb822] };
  const rungs = (machine: Parameters<typeof planWithoutRoot>[0]) => planWithoutRoot(machine);

  it('lavapipe of Mesa 26 comes before SwiftShader, from the mirror and under the key of this machine', () => {
    const [matrices, swiftShader] = rungs(debian);
    const line = (suite: string) =>
      `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian ${suite} main\n`;
    expect(matrices).toEqual({
      name: 'lavapipe-matrices',
      obstacle: undefined,
      sources: line('trixie') + line('trixie-backports'),
    });
    expect(swiftShader).toEqual({ name: 'swiftshader', obstacle: undefined });
  });

  it.each([
    ['no apt', { programs: [] }, 'this machine has no apt-get and no dpkg-deb'],
    ['half of apt', { programs: ['apt-get'] }, 'this machine has no dpkg-deb'],
    [
      'no sources',
      { aptSources: [] },
      'the apt sources of this machine name no Debian mirror to take it from',
    ],
    [
      'a mirror of Ubuntu',
      { aptSources: [{ path: 'a.list', text: 'deb http://mirror.example/ubuntu noble main\n' }] },
      'the apt sources of this machine name no Debian mirror to take it from',
    ],
  ])('SwiftShader is what is left with %s', (_, change, obstacle) => {
    expect(rungs({ ...debian, ...change }).map((rung) => rung.obstacle)).toEqual([obstacle, undefined]);
  });

  it.each([
    ['linux', 'arm64'],
    ['darwin', 'x64'],
  ])('there is neither on %s on %s', (platform, arch) => {
    const obstacle = `it is packaged for Linux on x86-64, and this is ${platform} on ${arch}`;
    expect(rungs({ ...debian, platform, arch }).map((rung) => rung.obstacle)).toEqual([obstacle, obstacle]);
  });
});
