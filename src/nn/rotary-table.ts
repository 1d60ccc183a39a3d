/** Cosines and sines of rotary embedding, made on the host in f64: WGSL promises sin and cos only near zero. */
import { allocateTensor, type Tensor, upload } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';

/** Llama 3.1's stretching of long wavelengths. */
export interface RopeScaling {
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly originalMaxPositions: number;
}

export interface RotaryTable {
  /** f32 [positions, headDim / 2, 2]. */
  readonly table: Tensor;
  readonly frequencies: Float64Array;
}

/**
 * Angle per position of each pair: theta^(-2d / headDim), and with scaling divided by `factor` where the wavelength is
 * longer than originalMaxPositions / lowFrequencyFactor, blended linearly in between (transformers' `llama3`).
 */
export function rotaryFrequencies(headDim: number, theta: number, scaling?: RopeScaling): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, d) => {
    const frequency = theta ** ((-2 * d) / headDim);
    if (scaling === undefined) return frequency;
    const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositions } = scaling;
    const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
    if (turns < low) return frequency / factor;
    if (turns > high) return frequency;
    const smooth = (turns - low) / (high - low);
    return (1 - smooth) * (frequency / factor) + smooth * frequency;
  });
}

/** @param positions rows of the table: one more than the largest position. */
export function makeRotaryTable(
  gpu: Gpu,
  positions: number,
  headDim: number,
  theta: number,
  scaling?: RopeScaling,
): RotaryTable {
  const frequencies = rotaryFrequencies(headDim, theta, scaling);
  const values = new Float32Array(positions * headDim);
  for (let p = 0; p < positions; p++) {
    frequencies.forEach((frequency, d) => {
      values[p * headDim + 2 * d] = Math.cos(p * frequency);
      values[p * headDim + 2 * d + 1] = Math.sin(p * frequency);
    });
  }
  const table = allocateTensor(gpu, 'rotary table', [positions, headDim / 2, 2], 'f32', 'weights');
  upload(gpu, table, values);
  return { table, frequencies };
}
