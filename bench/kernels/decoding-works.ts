/** What the kernel benchmark runs of a decoding step: products of few rows and attention over the cache, in each of their forms. */
import type { Recorder } from '../../src/gpu/index.ts';
import { BLOCK_TOKENS, launchLinear, ops, type Tensor, tapeFor, whole } from '../../src/ops/index.ts';
import { inner, type Operands, type Size, samples, type Work } from './forward-works.ts';

/** Sequences of a product; sequences of attention, and the tokens before each. */
const BATCHES = [8, 64];
const ATTENDING = 16;
const CONTEXT = 1024;

type Form = 'rows' | 'tensor cores';

/** Records a decoding step by one form. */
function recordBy(form: Form, recorder: Recorder, record: () => Tensor): Tensor {
  const { choices } = recorder.gpu;
  const isOnMatrices = form === 'tensor cores';
  Object.assign(choices, isOnMatrices && { decodesOnMatrices: true, rows: 'workgroup' });
  try {
    return recorder.withFewRows(record);
  } finally {
    Object.assign(choices, isOnMatrices && { decodesOnMatrices: undefined, rows: undefined });
  }
}

/** Staged in f16, both operands lose digits. */
const toleranceOf = (form: Form) => (form === 'tensor cores' ? 4e-3 : undefined);

export function decodingWorks(bench: Operands, size: Size): Work[] {
  const forms: Form[] = bench.gpu.profile.matrices === undefined ? ['rows'] : ['rows', 'tensor cores'];
  const weight = bench.half([size.inner, size.hidden]);
  const attention = attentionOf(bench, size);
  return forms.flatMap((form) => [
    ...BATCHES.map((batch) => product(bench, size, weight, batch, form)),
    attention(form),
  ]);
}

/** Limited by reading the weight. */
function product(
  bench: Operands,
  { name, hidden: H, inner: I }: Size,
  weight: Tensor,
  rows: number,
  form: Form,
): Work {
  const [x, y] = [bench.make([rows, H]), bench.make([rows, I])];
  const [X, W] = [x, weight].map((tensor) => bench.values(tensor));
  return {
    name: `decoding product, weights in f16, ${form}`,
    shape: `${name}: ${rows} x ${H} -> ${I}`,
    cost: { bytes: 2 * H * I + 4 * rows * (H + I) },
    tolerance: toleranceOf(form),
    record: (recorder) =>
      recordBy(form, recorder, () => {
        launchLinear(recorder, whole(x), whole(y), { rows, weight, scale: 1, accumulate: false });
        return y;
      }),
    expected: () =>
      samples(rows * I, (i) => inner(H, (h) => X[Math.floor(i / I) * H + h] * W[(i % I) * H + h])),
  };
}

/** Limited by reading the cache. Sequences lie one after the other in it. */
function attentionOf(bench: Operands, { name, heads, kvHeads, headDim }: Size): (form: Form) => Work {
  const [width, blocks] = [kvHeads * headDim, CONTEXT / BLOCK_TOKENS];
  const q = bench.make([ATTENDING, heads * headDim]);
  const [keys, values] = [1, 2].map(() => bench.make([ATTENDING * CONTEXT, width]));
  const [Q, K, V] = [q, keys, values].map((tensor) => bench.values(tensor));
  const places = Array.from({ length: ATTENDING }, () => [CONTEXT - 1, 0, 0, 0]).flat();
  const layout = {
    places: bench.make([ATTENDING, 4], 'u32', places),
    tables: bench.make([ATTENDING, blocks], 'u32', [...Array(ATTENDING * blocks).keys()]),
  };
  return (form) => ({
    name: `decoding attention, ${form}`,
    shape: `${name}: ${ATTENDING} x ${CONTEXT} tokens, ${heads}/${kvHeads} heads of ${headDim}`,
    cost: { bytes: 8 * ATTENDING * (CONTEXT * width + heads * headDim) },
    tolerance: toleranceOf(form),
    record: (recorder) =>
      recordBy(form, recorder, () => {
        const attributes = { layout, heads, kvHeads, headDim };
        return tapeFor(recorder).apply(ops.pagedAttention, [q, keys, values], attributes)[0];
      }),
    expected: () =>
      samples(ATTENDING * heads * headDim, (i) => {
        const [own, d] = [Math.floor(i / headDim), i % headDim];
        const kvHead = Math.floor(((own % heads) * kvHeads) / heads);
        const place = (j: number) => (Math.floor(own / heads) * CONTEXT + j) * width + kvHead * headDim;
        const scores = Array.from(
          { length: CONTEXT },
          (_, j) => inner(headDim, (e) => Q[own * headDim + e] * K[place(j) + e]) / Math.sqrt(headDim),
        );
        const largest = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - largest));
        return inner(CONTEXT, (j) => weights[j] * V[place(j) + d]) / inner(CONTEXT, (j) => weights[j]);
      }),
  });
}
