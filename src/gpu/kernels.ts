/**
 * From a kernel file and its variant to a compiled pipeline.
 *
 * Kernels are WESL (WGSL with imports and conditions) in kernels/FAMILY/NAME.wgsl; names are unique, and the family is for
 * readers and imports only. A file NAME.raw.wgsl is appended to the linked NAME: a place for built-in names that the linker
 * does not know. In both, loops marked `//# for` are written out (unroll.ts). A variant is chosen by
 *  - `conditions`: `@if(NAME)` branches of the source,
 *  - `constants`: values imported from `constants::`, for array lengths and tile sizes,
 *  - `overrides`: pipeline-overridable constants, for the sizes of one shape; baked sizes let compilers unroll.
 */
import { composeResolvers, link, RecordResolver } from 'wesl/core';
import { RunError } from '../errors.ts';
import { type Unrolled, unroll } from './unroll.ts';

export interface KernelVariant {
  /** File name without folder and '.wgsl'. */
  readonly kernel: string;
  readonly conditions?: Readonly<Record<string, boolean>>;
  readonly constants?: Readonly<Record<string, number>>;
  readonly overrides?: Readonly<Record<string, number>>;
}

export class KernelLibrary {
  readonly #device: GPUDevice;
  readonly #sources: Record<string, string>;
  /** Sources as they were parsed: once, whatever imports them. */
  readonly #modules: RecordResolver;
  /** 'linear/linear_tiles' by 'linear_tiles'. */
  readonly #paths: ReadonlyMap<string, string>;
  readonly #linked = new Map<string, Promise<GPUShaderModule>>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();
  /** Told after every compiled pipeline how many there are, and how many were asked for. */
  onCompiled: ((compiled: number, asked: number) => void) | undefined;
  #compiled = 0;
  /** Pipelines that are being compiled, since when there is at least one, and the seconds of such times before. */
  #pending = 0;
  #since = 0;
  #seconds = 0;

  /** @internal */
  constructor(device: GPUDevice, sources: Record<string, string>) {
    this.#device = device;
    this.#sources = sources;
    this.#modules = new RecordResolver(sources);
    const paths = Object.keys(sources).map((file) => file.slice(0, -'.wgsl'.length));
    this.#paths = new Map(paths.map((path) => [path.slice(path.lastIndexOf('/') + 1), path]));
    if (this.#paths.size !== paths.length) throw new RangeError('Two kernels have the same file name.');
  }

  /**
   * The compiled pipeline of a variant, made once.
   * @throws RunError that names the kernel file and the line when the source does not compile.
   * @internal
   */
  pipeline(variant: KernelVariant): Promise<GPUComputePipeline> {
    const key = variantKey(variant);
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      pipeline = this.#compile(variant);
      this.#pipelines.set(key, pipeline);
      if (this.#pending++ === 0) this.#since = performance.now();
      const settled = () => {
        if (--this.#pending === 0) this.#seconds += (performance.now() - this.#since) / 1000;
      };
      void pipeline.then(() => {
        settled();
        this.#compiled++;
        this.onCompiled?.(this.#compiled, this.#pipelines.size);
      }, settled);
    }
    return pipeline;
  }

  /** How many pipelines there are, and the seconds in which at least one was being compiled. */
  get compiled(): { readonly pipelines: number; readonly seconds: number } {
    return { pipelines: this.#compiled, seconds: this.#seconds };
  }

  async #compile(variant: KernelVariant): Promise<GPUComputePipeline> {
    const module = await this.module(variant);
    try {
      return await this.#device.createComputePipelineAsync({
        label: variant.kernel,
        layout: 'auto',
        compute: { module, entryPoint: 'main', constants: variant.overrides ?? {} },
      });
    } catch (error) {
      throw new RunError(`Kernel ${variantKey(variant)}: ${messageOf(error)}`);
    }
  }

  /**
   * The linked and compiled source of a variant; `pipeline` also checks it against the adapter's limits.
   * @internal
   * @throws RunError
   */
  module(variant: KernelVariant): Promise<GPUShaderModule> {
    const key = JSON.stringify([variant.kernel, variant.conditions ?? {}, variant.constants ?? {}]);
    let module = this.#linked.get(key);
    if (module === undefined) {
      module = this.#link(variant);
      this.#linked.set(key, module);
    }
    return module;
  }

  async #link(variant: KernelVariant): Promise<GPUShaderModule> {
    const path = this.#paths.get(variant.kernel);
    if (path === undefined) throw new RunError(`There is no kernel ${variant.kernel}.`);
    const constants = variant.constants ?? {};
    const file = `${path}.wgsl`;
    const main = unroll(this.#sources[file], constants);
    const linked = await link({
      resolver:
        main.text === this.#sources[file]
          ? this.#modules
          : composeResolvers(new RecordResolver({ [file]: main.text }), this.#modules),
      rootModuleName: path,
      conditions: { ...variant.conditions },
      constants: { ...constants },
    }).catch((error: unknown) => {
      throw new RunError(`kernels/${path}.wgsl does not link: ${locationOf(error)}${messageOf(error)}`);
    });
    const raw = unroll(this.#sources[`${path}.raw.wgsl`] ?? '', constants);
    const module = this.#device.createShaderModule({ label: variant.kernel, code: linked.dest + raw.text });
    const info = await module.getCompilationInfo();
    const errors = info.messages.filter((m) => m.type === 'error');
    if (errors.length > 0) {
      const lines = errors.map((m) => `${sourceOf({ linked, main, raw }, m.offset, path)}: ${m.message}`);
      throw new RunError(`WGSL does not compile.\n${lines.join('\n')}`);
    }
    return module;
  }
}

/** A text that is equal for equal variants. */
export function variantKey(variant: KernelVariant): string {
  const part = (record: Readonly<Record<string, number | boolean>> | undefined) =>
    Object.entries(record ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`)
      .join(',');
  return `${variant.kernel}[${part(variant.conditions)}|${part(variant.constants)}|${part(variant.overrides)}]`;
}

interface Written {
  readonly linked: Awaited<ReturnType<typeof link>>;
  /** The kernel's own file, and the one that is appended to it. */
  readonly main: Unrolled;
  readonly raw: Unrolled;
}

/** 'kernels/x.wgsl:12' of a character in the linked text. */
function sourceOf({ linked, main, raw }: Written, offset: number, path: string): string {
  if (offset >= linked.dest.length) {
    const line = raw.text.slice(0, offset - linked.dest.length).split('\n').length;
    return `kernels/${path}.raw.wgsl:${raw.lines[line - 1]}`;
  }
  const position = linked.sourceMap.destToSrc(offset);
  if (position === undefined) return `kernels/${path}.wgsl`;
  const before = position.src.text.slice(0, position.position);
  const file = (position.src.path ?? path).replace(/^\.\//, '').replace(/\.(wesl|wgsl)$/, '');
  const line = before.split('\n').length;
  return `kernels/${file}.wgsl:${file === path ? main.lines[line - 1] : line}`;
}

function locationOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('weslLocation' in error)) return '';
  const { line } = error.weslLocation as { line: number };
  return `line ${line}: `;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
