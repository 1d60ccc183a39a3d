/**
 * Reads the machine's own apt sources and derives one for another suite from them. No host name is known here: the
 * mirror, its signing key and its options are those that already serve this machine.
 */

/**
 * @typedef {object} AptSource
 * @property {string} path file it was read from
 * @property {'deb822' | 'line'} format
 * @property {string[]} types
 * @property {string[]} uris
 * @property {string[]} suites
 * @property {string[]} components
 * @property {string[]} rest what a derived source takes over as it is: deb822 fields, or one '[options]'
 */

/** Every enabled source of `.sources` (deb822) and `.list` (one line each) files. */
export function parseAptSources(files) {
  return files.flatMap(({ path, text }) =>
    path.endsWith('.sources') ? parseDeb822(path, text) : parseLines(path, text),
  );
}

/**
 * The file to write so that apt also knows `${codename}-backports`.
 * @returns `undefined` when a source for it is already there, `null` when none can be derived, else `{ path, text }`
 */
export function backportsSource(sources, codename) {
  const suite = `${codename}-backports`;
  if (sources.some((s) => s.types.includes('deb') && s.suites.includes(suite))) return undefined;
  const source = distributionSource(sources, codename);
  if (source === null) return null;
  const name = '/etc/apt/sources.list.d/prefgrad-backports';
  if (source.format === 'line') {
    const words = ['deb', ...source.rest, source.uris[0], suite, 'main'];
    return { path: `${name}.list`, text: `${words.join(' ')}\n` };
  }
  const fields = ['Types: deb', `URIs: ${source.uris.join(' ')}`, `Suites: ${suite}`, 'Components: main'];
  return { path: `${name}.sources`, text: `${[...fields, ...source.rest].join('\n')}\n` };
}

/**
 * One line for a suite of Debian, from the mirror that serves this machine, whatever release that is.
 * @returns {string | null} null when no source names a Debian mirror
 */
export function suiteSource(sources, suite) {
  const codename = [...new Set(sources.flatMap((s) => s.suites))].find(
    (name) => distributionSource(sources, name)?.uris[0].match(/\/debian\/?$/) !== undefined,
  );
  const source = codename === undefined ? null : distributionSource(sources, codename);
  if (source === null || !/\/debian\/?$/.test(source.uris[0])) return null;
  const key = source.rest
    .map((line) => /^Signed-By:\s*(\/\S+)/.exec(line)?.[1])
    .find((path) => path !== undefined);
  const options = source.format === 'line' ? source.rest : key === undefined ? [] : [`[signed-by=${key}]`];
  return `${['deb', ...options, source.uris[0], suite, 'main'].join(' ')}\n`;
}

/**
 * The source that serves the distribution itself. Others may name the same suite (a vendor's repository for bookworm),
 * but only the distribution's has `-updates` beside it or lies in a folder of that name.
 */
function distributionSource(sources, codename) {
  const fits = sources.filter(
    (s) =>
      s.types.includes('deb') &&
      s.suites.includes(codename) &&
      s.components.includes('main') &&
      s.uris.length > 0 &&
      !s.uris[0].startsWith('cdrom:'),
  );
  const hasUpdates = (uri) =>
    sources.some((s) => s.uris.includes(uri) && s.suites.includes(`${codename}-updates`));
  const score = (s) => (hasUpdates(s.uris[0]) ? 2 : 0) + (/\/debian\/?$/.test(s.uris[0]) ? 1 : 0);
  return fits.sort((a, b) => score(b) - score(a))[0] ?? null;
}

function parseLines(path, text) {
  const sources = [];
  for (const line of text.split('\n')) {
    const match = /^\s*(deb|deb-src)\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    if (match === null) continue;
    const [, type, options, uri, suite, components] = match;
    sources.push({
      path,
      format: 'line',
      types: [type],
      uris: [uri],
      suites: [suite],
      components: words(components),
      rest: options === undefined ? [] : [options.trim()],
    });
  }
  return sources;
}

function parseDeb822(path, text) {
  const stanzas = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .split(/\n[ \t]*\n/);
  return stanzas.map((stanza) => sourceOfStanza(path, fieldsOf(stanza))).filter((s) => s !== null);
}

function sourceOfStanza(path, fields) {
  const value = (name) => words(fields.get(name) ?? '');
  if (!fields.has('types') || /^\s*(no|false|off|0)\s*$/i.test(fields.get('enabled') ?? '')) return null;
  const own = new Set(['types', 'uris', 'suites', 'components', 'enabled', 'x-repolib-name', 'description']);
  const rest = [...fields]
    .filter(([name]) => !own.has(name))
    .map(([name, text]) => `${properCase(name)}:${text}`);
  return {
    path,
    format: 'deb822',
    types: value('types'),
    uris: value('uris'),
    suites: value('suites'),
    components: value('components'),
    rest,
  };
}

/** Field name (lower case) -> the rest of its line and its continuation lines, as written. */
function fieldsOf(stanza) {
  const fields = new Map();
  let current;
  for (const line of stanza.split('\n')) {
    const match = /^([A-Za-z][A-Za-z-]*):(.*)$/.exec(line);
    if (match !== null) {
      current = match[1].toLowerCase();
      fields.set(current, match[2]);
    } else if (current !== undefined && /^[ \t]/.test(line)) {
      fields.set(current, `${fields.get(current)}\n${line}`);
    }
  }
  return fields;
}

function properCase(name) {
  return name.replace(/(^|-)([a-z])/g, (_, dash, letter) => dash + letter.toUpperCase());
}

function words(text) {
  return text.split(/\s+/).filter((word) => word !== '');
}
