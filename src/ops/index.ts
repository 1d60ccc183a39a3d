/**
 * The one table of differentiable operations. An op without a launcher, a gradient rule or a plain reference does not
 * compile, because `Op` asks for all three.
 */
import type { Op } from '../autograd/op.ts';
import { type Accumulate, type Observe, Tape } from '../autograd/tape.ts';
import type { Recorder } from '../gpu/program.ts';
import { attention } from './attention.ts';
import { embedding } from './embedding.ts';
import { epsilonLogps } from './epsilon-logps.ts';
import { gatedLinear } from './gated-linear.ts';
import { gatherRows } from './gather-rows.ts';
import { gridFor, workgroupSize } from './launch.ts';
import { linear } from './linear.ts';
import { loraLinear } from './lora-linear.ts';
import { rmsNorm } from './rms-norm.ts';
import { rotary } from './rotary.ts';
import { segmentSum } from './segment-sum.ts';
import { swiglu } from './swiglu.ts';
import { tokenLogps } from './token-logps.ts';
import { binary, dot, unary } from './vector.ts';

export const ops = {
  attention,
  binary,
  dot,
  embedding,
  epsilonLogps,
  gatedLinear,
  gatherRows,
  linear,
  loraLinear,
  rmsNorm,
  rotary,
  segmentSum,
  swiglu,
  tokenLogps,
  unary,
} satisfies Record<string, Op<never>>;

/** Adds or copies a tensor into a gradient; shards of both lie alike. */
export const accumulate: Accumulate = (recorder, from, target) => {
  if (from.shards.length !== target.tensor.shards.length) {
    throw new RangeError(`${from.label} and ${target.tensor.label} are cut into different shards.`);
  }
  from.shards.forEach((shard, i) => {
    recorder.dispatch({
      label: 'accumulate',
      kernel: 'accumulate',
      conditions: { ACCUMULATE: target.accumulate },
      constants: { WORKGROUP: workgroupSize(recorder) },
      bindings: [shard, target.tensor.shards[i]],
      grid: gridFor(recorder, shard.byteLength / 4),
    });
  });
};

/** A tape that records into `recorder`. */
export function tapeFor(recorder: Recorder, observe?: Observe): Tape {
  return new Tape(recorder, accumulate, observe);
}
