/** `prefgrad doctor --tune`: measures which kernel makes each product of a typical model fastest on a device, and keeps it. */
import { reserveTensor } from '../autograd/tensor.ts';
import { Gpu } from '../gpu/device.ts';
import type { Tuned } from '../ops/linear/linear-tuning.ts';
import { noteProduct, type Orientation, type ProductShape } from '../ops/linear/linear-variants.ts';
import type { DeviceChoice, Runtime } from '../runtime/runtime.ts';
import { tuneKernels } from '../train/kernel-choices.ts';

export interface TuneOptions extends DeviceChoice {
  /** Print the measurements as one JSON object. */
  readonly json?: boolean;
}

/** Weights [out, in] of a 1B Llama on GPUs; on CPU adapters one small weight, since their choices hardly depend on size. */
const WEIGHTS = {
  gpu: [
    [2048, 2048],
    [512, 2048],
    [8192, 2048],
    [2048, 8192],
  ],
  cpu: [[256, 256]],
} as const;
const TOKENS = { gpu: 4096, cpu: 256 } as const;
const ORIENTATIONS: readonly Orientation[] = ['FORWARD', 'INPUT', 'WEIGHT'];

/** What weights are stored in: GPUs hold frozen bf16 as f16, trained ones as they are. */
const STORED = { gpu: ['f32', 'bf16', 'f16'], cpu: ['f32', 'bf16'] } as const;

/** The products that are measured unless others are given: every orientation, weights in every dtype. */
export function typicalProducts(gpu: Gpu): ProductShape[] {
  const { kind } = gpu.profile;
  return WEIGHTS[kind].flatMap((shape) =>
    STORED[kind].flatMap((stored) =>
      ORIENTATIONS.map((orientation): ProductShape => {
        const weight = reserveTensor(gpu, 'w', shape, orientation === 'WEIGHT' ? 'f32' : stored, 'state');
        return { orientation, tokens: TOKENS[kind], weight, shard: weight.shards[0], stored };
      }),
    ),
  );
}

/**
 * Measures, keeps and prints.
 * @returns the exit code: 1 when a kernel gave wrong numbers (it is not used then), else 0
 * @throws NoAdapterError
 */
export async function runTune(
  runtime: Runtime,
  write: (text: string) => void,
  options: TuneOptions,
  products: (gpu: Gpu) => readonly ProductShape[] = typicalProducts,
): Promise<number> {
  const gpu = await Gpu.open(runtime, { device: options.device, backend: options.backend });
  try {
    for (const product of products(gpu)) noteProduct(gpu, product);
    const tuned: Tuned[] = [];
    const path = await tuneKernels(gpu, (product) => tuned.push(product));
    const { deviceName: adapter, driver } = gpu;
    if (options.json) write(`${JSON.stringify({ adapter, driver, path, products: tuned }, null, 2)}\n`);
    else write(`${adapter} (${driver})\n\n${tableOf(tuned)}\n\n${keptIn(path)}\n`);
    return tuned.some(({ refused }) => refused.length > 0) ? 1 : 0;
  } finally {
    gpu.close();
  }
}

function keptIn(path: string | undefined): string {
  return path === undefined
    ? 'There is no cache directory here, so nothing was kept.'
    : `Kept in ${path}: runs with training.autotune use it.`;
}

/** A product to a row, a variant to a column: milliseconds, the fastest marked. */
function tableOf(tuned: readonly Tuned[]): string {
  const variants = [...new Set(tuned.flatMap((t) => [...Object.keys(t.milliseconds), ...t.refused]))];
  const cell = ({ milliseconds, winner, refused }: Tuned, variant: string): string => {
    if (refused.some((name) => name === variant)) return 'wrong';
    const time = Object.entries(milliseconds).find(([name]) => name === variant)?.[1];
    if (time === undefined) return '-';
    return `${time.toPrecision(3)}${variant === winner ? ' *' : ''}`;
  };
  const rows = [
    ['product, ms', ...variants],
    ...tuned.map((t) => [t.key, ...variants.map((variant) => cell(t, variant))]),
  ];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows
    .map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
