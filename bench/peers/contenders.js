/**
 * The same work in other WebGPU libraries, under Dawn in this process. Operands are on the GPU before a round begins, and
 * every result is forced: read back whole where the library offers no other way to wait, and so is ours.
 */
export async function jax() {
  const { init, defaultDevice, numpy: np, nn, grad, jit } = await import('@jax-js/jax');
  await init('webgpu');
  defaultDevice('webgpu');
  const onGpu = ({ x, w, T, H, V, targets }) => ({
    x: np.array(x).reshape([T, H]),
    w: np.array(w).reshape([V, H]),
    hot: nn.oneHot(np.array(targets), V),
  });
  const logpsOf = (x, w, hot) => np.sum(nn.logSoftmax(np.matmul(x, np.transpose(w)), -1).mul(hot), -1);
  return {
    name: '@jax-js/jax',
    async matmul(work) {
      const { x, w } = onGpu(work);
      const f = jit((a, b) => np.matmul(a, np.transpose(b)));
      return () => f(x.ref, w.ref).data();
    },
    async logps(work) {
      const { x, w, hot } = onGpu(work);
      const f = jit(logpsOf);
      return () => f(x.ref, w.ref, hot.ref).data();
    },
    async gradient(work) {
      const { x, w, hot } = onGpu(work);
      const f = jit(grad((a, b, c) => np.sum(logpsOf(a, b, c))));
      return () => f(x.ref, w.ref, hot.ref).data();
    },
  };
}

export async function tensorflow() {
  const tf = await import('@tensorflow/tfjs');
  await import('@tensorflow/tfjs-backend-webgpu');
  if (!(await tf.setBackend('webgpu'))) throw new Error('the backend webgpu could not be set');
  await tf.ready();
  const onGpu = ({ x, w, T, H, V, targets }) => ({
    x: tf.tensor2d(x, [T, H]),
    w: tf.tensor2d(w, [V, H]),
    hot: tf.oneHot(tf.tensor1d(targets, 'int32'), V).toFloat(),
  });
  const read = async (make) => {
    const result = tf.tidy(make);
    const values = await result.data();
    result.dispose();
    return values;
  };
  const logpsOf = (x, w, hot) => tf.sum(tf.mul(tf.logSoftmax(tf.matMul(x, w, false, true)), hot), -1);
  return {
    name: '@tensorflow/tfjs-backend-webgpu',
    async matmul(work) {
      const { x, w } = onGpu(work);
      return () => read(() => tf.matMul(x, w, false, true));
    },
    async logps(work) {
      const { x, w, hot } = onGpu(work);
      return () => read(() => logpsOf(x, w, hot));
    },
    async gradient(work) {
      const { x, w, hot } = onGpu(work);
      const f = tf.grad((a) => tf.sum(logpsOf(a, w, hot)));
      return () => read(() => f(x));
    },
  };
}

export async function gpujs() {
  const { GPU } = await import('gpu.js');
  return {
    name: 'gpu.js',
    async matmul({ x, w, T, H, V }) {
      const gpu = new GPU({ mode: 'webgpu' });
      // Becomes WGSL; `this` is the library's thread.
      const body = `function (x, w) {
        let sum = 0;
        for (let k = 0; k < ${H}; k++) { sum += x[this.thread.y][k] * w[this.thread.x][k]; }
        return sum;
      }`;
      const kernel = gpu.createKernel(body, { output: [V, T] });
      const rows = (values, count) => Array.from({ length: count }, (_, r) => values.subarray(r * H, (r + 1) * H));
      const [a, b] = [rows(x, T), rows(w, V)];
      return async () => {
        const result = await kernel(a, b);
        const flat = new Float32Array(T * V);
        result.forEach((row, r) => {
          flat.set(row, r * V);
        });
        return flat;
      };
    },
  };
}
