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

/** Kernels are functions whose text becomes WGSL; `pipeline` leaves a result on the GPU as a handle. */
export async function gpujs() {
  const { GPU } = await import('gpu.js');
  const gpu = new GPU({ mode: 'webgpu' });
  const stays = { pipeline: true, immutable: true };
  const matrix = (values, rows, columns) => {
    const upload = gpu.createKernel('function (a) { return a[this.thread.y][this.thread.x]; }', {
      output: [columns, rows],
      ...stays,
    });
    return upload(Array.from({ length: rows }, (_, r) => values.subarray(r * columns, (r + 1) * columns)));
  };
  const product = (H, settings) =>
    gpu.createKernel(
      `function (x, w) {
        let sum = 0;
        for (let k = 0; k < ${H}; k++) { sum += x[this.thread.y][k] * w[this.thread.x][k]; }
        return sum;
      }`,
      settings,
    );
  const logSumExp = (T, V) =>
    gpu.createKernel(
      `function (logits) {
        let most = logits[this.thread.x][0];
        for (let v = 1; v < ${V}; v++) { most = Math.max(most, logits[this.thread.x][v]); }
        let sum = 0;
        for (let v = 0; v < ${V}; v++) { sum += Math.exp(logits[this.thread.x][v] - most); }
        return most + Math.log(sum);
      }`,
      { output: [T], ...stays },
    );
  return {
    name: 'gpu.js',
    async matmul({ x, w, T, H, V }) {
      const [a, b] = [await matrix(x, T, H), await matrix(w, V, H)];
      const kernel = product(H, { output: [V, T] });
      return async () => flat(await kernel(a, b));
    },
    async logps({ x, w, T, H, V, targets }) {
      const [a, b] = [await matrix(x, T, H), await matrix(w, V, H)];
      const [logitsOf, normalizer] = [product(H, { output: [V, T], ...stays }), logSumExp(T, V)];
      const pick = gpu.createKernel(
        `function (logits, norm, targets) {
          return logits[this.thread.x][targets[this.thread.x]] - norm[this.thread.x];
        }`,
        { output: [T] },
      );
      const wanted = Array.from(targets);
      return async () => {
        const logits = await logitsOf(a, b);
        const logps = await pick(logits, await normalizer(logits), wanted);
        logits.delete();
        return logps;
      };
    },
    async gradient({ x, w, T, H, V, targets }) {
      const [a, b] = [await matrix(x, T, H), await matrix(w, V, H)];
      const [logitsOf, normalizer] = [product(H, { output: [V, T], ...stays }), logSumExp(T, V)];
      const direction = gpu.createKernel(
        `function (logits, norm, w, targets) {
          let sum = 0;
          for (let v = 0; v < ${V}; v++) {
            sum += Math.exp(logits[this.thread.y][v] - norm[this.thread.y]) * w[v][this.thread.x];
          }
          return w[targets[this.thread.y]][this.thread.x] - sum;
        }`,
        { output: [H, T] },
      );
      const wanted = Array.from(targets);
      return async () => {
        const logits = await logitsOf(a, b);
        const gradient = flat(await direction(logits, await normalizer(logits), b, wanted));
        logits.delete();
        return gradient;
      };
    },
  };
}

/** Rows, end to end. */
function flat(rows) {
  const values = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, r) => {
    values.set(row, r * row.length);
  });
  return values;
}
