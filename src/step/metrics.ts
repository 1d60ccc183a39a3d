/**
 * The numbers of one optimizer step, added up on the GPU over its micro-batches and read one step later: a small copy
 * into one of two staging buffers, so that no step ever waits for its own metrics.
 */
import { type Tensor, whole } from '../autograd/tensor.ts';
import type { Workspace } from '../autograd/workspace.ts';
import { bufferOf, type Gpu } from '../gpu/device.ts';
import type { Storage } from '../gpu/memory.ts';
import type { Recorder } from '../gpu/program.ts';
import { type MetricValue, recordMetric } from '../ops/reduction/metric-add.ts';

/** At most this many metrics; objectives have a handful each. */
const CAPACITY = 64;

export class StepMetrics {
  /** f32 [64]; zero it at the start of a step. */
  readonly tensor: Tensor;
  readonly #gpu: Gpu;
  readonly #indices = new Map<string, number>();
  readonly #set = new Set<string>();
  readonly #staging: Storage[];
  #turn = 0;

  constructor(workspace: Workspace) {
    this.#gpu = workspace.gpu;
    this.tensor = workspace.tensor('metrics', [CAPACITY], 'f32', 'state');
    this.#staging = [0, 1].map((i) => workspace.readback(`metrics read-back ${i}`, 4 * CAPACITY));
  }

  /** Adds the mean over pairs: weights are 1 / pairs in the step, 0 in empty slots. */
  addMean(recorder: Recorder, name: string, values: Tensor, weights: Tensor): void {
    this.#record(recorder, name, { kind: 'mean', values, weights });
  }

  /** Adds the share of pairs in which `values` is greater than `others`. */
  addShareGreater(recorder: Recorder, name: string, values: Tensor, others: Tensor, weights: Tensor): void {
    this.#record(recorder, name, { kind: 'mean', values, weights, others });
  }

  /** Adds a value [1]: a part of a sum over micro-batches. */
  addSum(recorder: Recorder, name: string, value: Tensor): void {
    this.#record(recorder, name, { kind: 'sum', values: value });
  }

  /** Whether a metric was set as it stands, so that values of several batches are no parts of one sum. */
  isSet(name: string): boolean {
    return this.#set.has(name);
  }

  /** Sets a metric to a value [1] as it stands. */
  set(recorder: Recorder, name: string, value: Tensor): void {
    this.setFrom(recorder, name, value, 0);
  }

  /** Sets a metric to one element of a vector. */
  setFrom(recorder: Recorder, name: string, values: Tensor, element: number): void {
    this.#set.add(name);
    this.#record(recorder, name, { kind: 'set', values, element });
  }

  /** Sets what was set, and not added up, to 0: of what all ranks know alike one of them tells. */
  clearSet(): void {
    for (const name of this.#set)
      this.#gpu.write(whole(this.tensor), new Float32Array(1), 4 * this.#index(name));
  }

  /**
   * Queues the copy of this step's numbers.
   * @returns the numbers, which arrive when the step is done. Those of one snapshot must have arrived before the next
   * but one is asked for.
   */
  snapshot(): Promise<Record<string, number>> {
    const staging = bufferOf(this.#staging[this.#turn]);
    this.#turn = 1 - this.#turn;
    const encoder = this.#gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(bufferOf(whole(this.tensor).storage), 0, staging, 0, 4 * CAPACITY);
    this.#gpu.device.queue.submit([encoder.finish()]);
    const read = async () => {
      await staging.mapAsync(GPUMapMode.READ).catch((error: unknown) => {
        this.#gpu.throwIfFailed();
        throw error;
      });
      const values = new Float32Array(staging.getMappedRange().slice(0));
      staging.unmap();
      return Object.fromEntries([...this.#indices].map(([name, i]) => [name, values[i]]));
    };
    const values = read();
    // A device that is lost rejects the mapping before anybody waits for it.
    values.catch(() => {});
    return values;
  }

  #record(recorder: Recorder, name: string, value: MetricValue): void {
    recordMetric(recorder, this.tensor, this.#index(name), value);
  }

  #index(name: string): number {
    const known = this.#indices.get(name);
    if (known !== undefined) return known;
    if (this.#indices.size === CAPACITY) throw new RangeError(`More than ${CAPACITY} metrics, with ${name}.`);
    this.#indices.set(name, this.#indices.size);
    return this.#indices.size - 1;
  }
}
