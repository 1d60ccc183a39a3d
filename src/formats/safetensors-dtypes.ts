/** The dtypes of safetensors and their bytes per element. We compute with F32, F16 and BF16 and only recognize the rest. */
const DTYPE_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
  C64: 8,
};

/** One tensor of a file, without its place. */
export interface TensorEntry {
  readonly name: string;
  /** 'F32', 'BF16', ...: the format's own names. */
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Bytes per element; undefined for a dtype that the format does not have. */
export function dtypeBytes(dtype: string): number | undefined {
  return Object.hasOwn(DTYPE_BYTES, dtype) ? DTYPE_BYTES[dtype] : undefined;
}

/** Bytes of a tensor. @throws RangeError for an unknown dtype, which is a mistake of the caller */
export function tensorBytes({ name, dtype, shape }: TensorEntry): number {
  const size = dtypeBytes(dtype);
  if (size === undefined) throw new RangeError(`${name}: unknown dtype ${dtype}`);
  return shape.reduce((n, d) => n * d, size);
}
