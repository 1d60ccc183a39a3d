/**
 * `npm run kernels`: writes src/gpu/kernel-table.ts, which says what every kernel takes, so that a launch that names anything
 * else does not compile. A test keeps the file up to date.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const KERNELS = fileURLToPath(new URL('../kernels/', import.meta.url));
const TABLE = fileURLToPath(new URL('../src/gpu/kernel-table.ts', import.meta.url));

interface Kernel {
  readonly conditions: readonly string[];
  readonly constants: readonly string[];
  readonly overrides: readonly string[];
  readonly optionalOverrides: readonly string[];
  readonly bindings: Readonly<Record<string, number>>;
  readonly optionalBindings: Readonly<Record<string, number>>;
}

/** 'linear/linear_tiled' -> its text, with a .raw.wgsl file behind it. */
function readModules(): Map<string, string> {
  const modules = new Map<string, string>();
  const files = readdirSync(KERNELS, { recursive: true, encoding: 'utf8' }).filter((f) =>
    f.endsWith('.wgsl'),
  );
  for (const file of files.sort()) {
    const path = file.replaceAll('\\', '/').replace(/(\.raw)?\.wgsl$/, '');
    modules.set(path, `${modules.get(path) ?? ''}\n${readFileSync(KERNELS + file, 'utf8')}`);
  }
  return modules;
}

/** A module and everything that it imports, comments aside. */
function textOf(path: string, modules: ReadonlyMap<string, string>, seen = new Set<string>()): string {
  if (seen.has(path)) return '';
  seen.add(path);
  const own = modules.get(path);
  if (own === undefined) throw new RangeError(`There is no kernels/${path}.wgsl.`);
  const text = own.replaceAll(/\/\/.*$/gm, '');
  const imports = [...text.matchAll(/^import package::(\w+)::(\w+)::/gm)];
  return text + imports.map(([, family, name]) => textOf(`${family}/${name}`, modules, seen)).join('\n');
}

function kernelOf(text: string): Kernel {
  const unique = (names: Iterable<string>) => [...new Set(names)].sort();
  const expressions = [...text.matchAll(/@(?:el)?if\(([^)]*(?:\([^)]*\)[^)]*)*)\)/g)].map(
    ([, inner]) => inner,
  );
  const bindings = [...text.matchAll(/^(.*?)@group\(0\) @binding\((\d+)\) var<[^>]*> (\w+)/gm)];
  const overrides = [...text.matchAll(/^(.*?)override (\w+)\s*:[^=;]*(=)?/gm)];
  // A declaration that stands under @if alone may be absent; one under @else has a twin.
  const isConditional = (prefix: string) => prefix.includes('@if');
  const named = (wanted: boolean) => {
    const always = new Set(bindings.filter(([, p]) => !isConditional(p)).map(([, , , name]) => name));
    return Object.fromEntries(
      bindings
        .filter(([, , , name]) => always.has(name) === wanted)
        .map(([, , number, name]) => [name, Number(number)] as const)
        .sort(([, a], [, b]) => a - b),
    );
  };
  return {
    conditions: unique(expressions.flatMap((e) => [...e.matchAll(/[A-Za-z_]\w*/g)].map(([name]) => name))),
    constants: unique([...text.matchAll(/^import constants::(\w+)/gm)].map(([, name]) => name)),
    overrides: unique(overrides.filter(([, p, , d]) => !isConditional(p) && !d).map(([, , name]) => name)),
    optionalOverrides: unique(
      overrides.filter(([, p, , d]) => isConditional(p) || d).map(([, , name]) => name),
    ),
    bindings: named(true),
    optionalBindings: named(false),
  };
}

/** The text of src/gpu/kernel-table.ts for the kernels as they are. */
export function kernelTable(): string {
  const modules = readModules();
  const kernels = [...modules.keys()]
    .filter((path) => /@compute/.test(modules.get(path) ?? ''))
    .map((path) => [path.slice(path.lastIndexOf('/') + 1), kernelOf(textOf(path, modules))] as const);
  const text = `/** What every kernel takes. Written by \`npm run kernels\`; do not edit. */
export const KERNELS = ${JSON.stringify(Object.fromEntries(kernels))} as const;
`;
  const biome = fileURLToPath(new URL('../node_modules/.bin/biome', import.meta.url));
  return execFileSync(biome, ['format', '--stdin-file-path=src/gpu/kernel-table.ts'], {
    input: text,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(TABLE, kernelTable());
