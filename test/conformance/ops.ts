/** Every op against its plain reference in f64 and finite differences of it, at the shapes where adapters differ. */
import { occurrences, picks } from '../../src/data/occurrences.ts';
import { makeRotaryTable } from '../../src/nn/rotary-table.ts';
import { ops } from '../../src/ops/index.ts';
import { packedLayout } from '../ops/packed-layout.ts';
import { checkDirections, checkOp, type OpCase } from '../support/check-op.ts';
import { gridValues, type HostTensor, type Workbench } from '../support/workbench.ts';
import type { CaseContext, ConformanceCase } from './case.ts';

const group = 'ops';

function exact<A>(name: string, make: (context: CaseContext) => OpCase<A>): ConformanceCase {
  return { group, name, run: (context) => checkOp(context.gpu, make(context)) };
}

/** For tensors too large to differentiate element by element. */
function directions<A>(name: string, c: OpCase<A>): ConformanceCase {
  return { group, name, isLong: true, run: ({ gpu }) => checkDirections(gpu, c, 2) };
}

const long = (c: ConformanceCase): ConformanceCase => ({ ...c, isLong: true });

const inDtype = (dtype: HostTensor['dtype'], tensor: HostTensor): HostTensor => ({ ...tensor, dtype });
const targets = (values: readonly number[]) => (bench: Workbench) => ({
  targets: bench.indices('targets', [values.length], values),
});

const linears = (['f32', 'f16', 'bf16'] as const).flatMap((dtype) =>
  [
    [1, 31, 33],
    [33, 8, 5],
  ].map(([rows, inner, out]) =>
    exact(`linear ${rows} x ${inner} x ${out}, weights in ${dtype}`, () => ({
      op: ops.linear,
      inputs: [gridValues(1, [rows, inner]), inDtype(dtype, gridValues(2, [out, inner]))],
      attributes: () => ({}),
    })),
  ),
);

interface AttentionCase {
  readonly name: string;
  readonly documents: readonly (readonly number[])[];
  readonly shape: { readonly heads: number; readonly kvHeads: number; readonly headDim: number };
  readonly more?: { readonly window: number } | { readonly softcap: number };
  readonly isLong?: boolean;
}

const attentions = (
  [
    {
      name: 'grouped heads, two documents, shared prompts',
      documents: [
        [3, 2, 1],
        [1, 2, 2],
      ],
      shape: { heads: 4, kvHeads: 2, headDim: 8 },
    },
    {
      name: 'heads of 80',
      documents: [[2, 2, 1]],
      shape: { heads: 1, kvHeads: 1, headDim: 80 },
      isLong: true,
    },
    {
      name: 'heads of 96, a window',
      documents: [[4, 2, 3]],
      shape: { heads: 2, kvHeads: 1, headDim: 96 },
      more: { window: 3 },
      isLong: true,
    },
    {
      name: 'a cap on the scores',
      documents: [[3, 2, 3]],
      shape: { heads: 2, kvHeads: 2, headDim: 8 },
      more: { softcap: 5 },
    },
  ] satisfies AttentionCase[]
).map(({ name, documents, shape, more, isLong }: AttentionCase): ConformanceCase => {
  const tokens = documents.flat().reduce((a, b) => a + b, 0);
  const { heads, kvHeads, headDim } = shape;
  const { run } = exact(`attention, ${name}`, () => ({
    op: ops.attention,
    inputs: [
      gridValues(9, [tokens, heads * headDim]),
      gridValues(10, [tokens, kvHeads * headDim]),
      gridValues(11, [tokens, kvHeads * headDim]),
    ],
    attributes: (bench) => ({ ...shape, ...more, layout: packedLayout(bench, documents) }),
    tolerance: 2e-5,
  }));
  return { group, name: `attention, ${name}`, isLong, run };
});

/** The same case by the kernels that GPUs take, whatever the adapter: tiled products and attention, a workgroup per row, split-K. */
function asOnGpus<A>(name: string, make: (context: CaseContext) => OpCase<A>): ConformanceCase {
  const choices = { linear: 'tiled', attention: 'tiled', rows: 'workgroup', splitK: 2 } as const;
  return {
    group,
    name: `${name}, by the kernels of GPUs`,
    async run(context) {
      Object.assign(context.gpu.choices, choices);
      try {
        await checkOp(context.gpu, make(context));
      } finally {
        context.gpu.choices.clear();
      }
    },
  };
}

const onGpus = [
  asOnGpus('linear 33 x 12 x 20', () => ({
    op: ops.linear,
    inputs: [gridValues(1, [33, 12]), gridValues(2, [20, 12])],
    attributes: () => ({}),
  })),
  asOnGpus('a product with its LoRA pair', () => ({
    op: ops.loraLinear,
    inputs: [
      gridValues(1, [17, 8]),
      gridValues(2, [12, 8]),
      gridValues(3, [4, 8]),
      gridValues(4, [12, 4]),
      gridValues(5, [17, 12]),
    ],
    attributes: () => ({ scale: 2 }),
    differentiate: [0, 2, 3, 4],
  })),
  long(
    asOnGpus('attention, two documents, a window', () => ({
      op: ops.attention,
      inputs: [gridValues(9, [11, 16]), gridValues(10, [11, 8]), gridValues(11, [11, 8])],
      attributes: (bench) => ({
        heads: 2,
        kvHeads: 1,
        headDim: 8,
        window: 4,
        layout: packedLayout(bench, [
          [3, 2, 1],
          [1, 2, 2],
        ]),
      }),
      tolerance: 2e-5,
    })),
  ),
  asOnGpus('rms norm', () => ({
    op: ops.rmsNorm,
    inputs: [gridValues(4, [5, 12]), gridValues(5, [12])],
    attributes: () => ({ eps: 1e-5 }),
  })),
  long(
    asOnGpus('rms norm of rows longer than registers hold', () => ({
      op: ops.rmsNorm,
      inputs: [gridValues(4, [2, 2051]), gridValues(5, [2051])],
      attributes: () => ({ eps: 1e-5 }),
    })),
  ),
  long(
    asOnGpus('token log-probs, a vocabulary of 37', () => ({
      op: ops.tokenLogps,
      inputs: [gridValues(1, [5, 8]), gridValues(2, [37, 8])],
      attributes: targets([0, 36, 4, 4, 31]),
    })),
  ),
];

export const opCases: readonly ConformanceCase[] = [
  ...onGpus,
  ...linears,
  exact('linear with a residual and a scale', () => ({
    op: ops.linear,
    inputs: [gridValues(1, [13, 8]), gridValues(2, [5, 8]), gridValues(3, [13, 5])],
    attributes: () => ({ scale: 2.5 }),
  })),
  ...attentions,
  exact('embedding', () => ({
    op: ops.embedding,
    inputs: [gridValues(1, [7, 10])],
    attributes: (bench) => {
      const ids = [6, 0, 6, 3, 0];
      const lists = occurrences(Uint32Array.from(ids), 8);
      return {
        ids: bench.indices('ids', [5], ids),
        occurrences: {
          order: bench.indices('order', [5], lists.order),
          starts: bench.indices('starts', [9], lists.starts),
          uniqueIds: bench.indices('unique ids', [8], lists.uniqueIds),
        },
      };
    },
    leavesOnly: true,
  })),
  exact('gather rows: the last prompt token predicts both branches', () => ({
    op: ops.gatherRows,
    inputs: [gridValues(3, [8, 6])],
    attributes: (bench) => {
      const rows = [2, 3, 2, 4, 2, 5];
      const lists = picks(Uint32Array.from(rows), { tokens: 8, rows: 6, pairs: 1 });
      return {
        rows: bench.indices('rows', [6], rows),
        starts: bench.indices('starts', [9], lists.starts),
        picks: bench.indices('picks', [6], lists.picks),
      };
    },
    tolerance: 1e-6,
  })),
  exact('rms norm of ragged rows', () => ({
    op: ops.rmsNorm,
    inputs: [gridValues(4, [33, 7]), gridValues(5, [7])],
    attributes: () => ({ eps: 1e-5 }),
  })),
  exact('rotary up to position 8191', ({ gpu }) => ({
    op: ops.rotary,
    inputs: [gridValues(6, [5, 30])],
    attributes: (bench) => {
      const made = makeRotaryTable(gpu, 8192, 10, 5e5, undefined);
      bench.adopt(made.table);
      return { ...made, headDim: 10, positions: bench.indices('positions', [5], [0, 8191, 7, 7, 1]) };
    },
    tolerance: 1e-6,
  })),
  exact('swiglu, gates of +-100', () => ({
    op: ops.glu,
    inputs: [gridValues(7, [3, 11], 40), gridValues(8, [3, 11])],
    attributes: () => ({}),
  })),
  exact('a gated product', () => ({
    op: ops.gatedLinear,
    inputs: [gridValues(7, [9, 8]), gridValues(8, [12, 8]), gridValues(9, [12, 8])],
    attributes: () => ({}),
  })),
  exact('a product with its LoRA pair', () => ({
    op: ops.loraLinear,
    inputs: [
      gridValues(1, [9, 8]),
      gridValues(2, [12, 8]),
      gridValues(3, [4, 8]),
      gridValues(4, [12, 4]),
      gridValues(5, [9, 12]),
    ],
    attributes: () => ({ scale: 2 }),
    differentiate: [0, 2, 3, 4],
  })),
  exact('segment sums', () => ({
    op: ops.segmentSum,
    inputs: [gridValues(1, [12])],
    attributes: (bench) => ({ segments: bench.indices('segments', [4, 2], [2, 5, 5, 5, 9, 10, 0, 0]) }),
  })),
  exact('dot product', () => ({
    op: ops.dot,
    inputs: [gridValues(1, [33]), gridValues(2, [33])],
    attributes: () => ({}),
    differentiate: [0],
  })),
  exact('token log-probs, a vocabulary of 37', () => ({
    op: ops.tokenLogps,
    inputs: [gridValues(1, [5, 8]), gridValues(2, [37, 8])],
    attributes: targets([0, 36, 4, 4, 31]),
  })),
  directions('token log-probs, a vocabulary of 50257', {
    op: ops.tokenLogps,
    inputs: [gridValues(1, [3, 8]), gridValues(2, [50257, 8])],
    attributes: targets([0, 50256, 2048]),
    // Finite differences along a direction of 400,000 elements are no better than this.
    tolerance: 3e-4,
  }),
  exact('epsilon log-probs, a reference of another width', () => ({
    op: ops.epsilonLogps,
    inputs: [gridValues(1, [3, 8]), gridValues(2, [37, 8]), gridValues(3, [3, 4]), gridValues(4, [37, 4])],
    attributes: (bench) => ({ ...targets([0, 36, 4])(bench), epsilon: 0.1 }),
    differentiate: [0, 1],
  })),
];
