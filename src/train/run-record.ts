/**
 * What ran, for whoever finds the output directory later: config.yaml as it was resolved, before the first step, under a
 * head of comments that says with what and on what; run.json with the outcome at the end.
 */
import { stringify } from 'yaml';
import { sourcesOf } from '../data/dataset.ts';
import { expandData } from '../data/sources/expand.ts';
import { Digest } from '../digest.ts';
import type { ModelLocation } from '../formats/model-location.ts';
import type { Gpu } from '../gpu/device.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { VERSION } from '../version.ts';
import type { TrainConfig } from './config.ts';
import type { RunSummary } from './hooks.ts';

const PIECE_BYTES = 4 * 2 ** 20;

/** Files that make a model, among whatever else lies beside them. */
const MODEL_FILE =
  /\.safetensors$|^(adapter_)?config\.json$|^tokenizer(_config)?\.json$|^chat_template\.jinja$/;

/** Writes OUTPUT_DIR/config.yaml. A resumed run replaces it: keys such as the number of epochs may have changed. */
export async function writeConfig(gpu: Gpu, config: TrainConfig, location: ModelLocation): Promise<void> {
  const { files } = gpu.runtime;
  const head = [
    `prefgrad ${VERSION}`,
    ...(await commitLine(files)),
    `device: ${gpu.deviceName} (${gpu.driver})`,
    'digests: SHA-256, block by block (src/digest.ts); equal files have equal digests',
    ...(await digestLines(files, await modelPaths(files, location))),
    ...(await digestLines(files, await dataPaths(files, config))),
  ];
  const text = head.map((line) => `# ${line}\n`).join('');
  await writeText(files, `${config.output_dir}/config.yaml`, `${text}\n${stringify(config)}`);
}

/** Writes OUTPUT_DIR/run.json. */
export async function writeOutcome(files: FileSystem, directory: string, summary: RunSummary): Promise<void> {
  const { outcome, step, totalSteps, seconds, peakBytes, predictedPeakBytes, compiled, best } = summary;
  const record = {
    version: VERSION,
    outcome,
    global_step: step,
    max_steps: totalSteps,
    wall_time_seconds: seconds,
    peak_bytes: peakBytes,
    predicted_peak_bytes: predictedPeakBytes,
    pipelines: compiled.pipelines,
    compile_seconds: compiled.seconds,
    best_model_checkpoint: best ?? null,
    ...(summary.ranks && {
      ranks: summary.ranks.map(({ host, device, tokens, ...memory }) => ({
        host,
        device,
        peak_bytes: memory.peakBytes,
        predicted_peak_bytes: memory.predictedPeakBytes,
        num_tokens: tokens,
      })),
    }),
    before: summary.before ?? null,
    after: summary.after ?? null,
    samples: summary.samples ?? [],
  };
  await writeText(files, `${directory}/run.json`, `${JSON.stringify(record, null, 2)}\n`);
}

async function modelPaths(files: FileSystem, { path, adapter }: ModelLocation): Promise<string[]> {
  const directories = adapter === undefined ? [path] : [path, adapter];
  const paths: string[] = [];
  for (const directory of directories)
    for (const name of (await files.list(directory)).sort())
      if (MODEL_FILE.test(name)) paths.push(`${directory}/${name}`);
  return paths;
}

async function dataPaths(files: FileSystem, { data }: TrainConfig): Promise<string[]> {
  const sources = [...sourcesOf(data.train), ...sourcesOf(data.eval ?? [])];
  const expanded = await Promise.all(sources.map(({ path }) => expandData(files, path)));
  return [...new Set(expanded.flat())];
}

async function digestLines(files: FileSystem, paths: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  for (const path of paths) lines.push(`  ${await digestOf(files, path)}  ${path}`);
  return lines;
}

async function digestOf(files: FileSystem, path: string): Promise<string> {
  const digest = new Digest();
  const source = await files.open(path);
  try {
    for (let offset = 0; offset < source.size; offset += PIECE_BYTES)
      await digest.add(await source.readRange(offset, Math.min(PIECE_BYTES, source.size - offset)));
  } finally {
    await source.close();
  }
  return digest.hex();
}

/** The commit that is checked out where the run was started, where that is the top of a git checkout. */
async function commitLine(files: FileSystem): Promise<string[]> {
  if (!(await files.isDirectory('.git')) || !(await files.exists('.git/HEAD'))) return [];
  const head = (await files.readText('.git/HEAD')).trim();
  const reference = /^ref: (.+)$/.exec(head)?.[1];
  if (reference === undefined) return [`commit: ${head}`];
  if (await files.exists(`.git/${reference}`))
    return [`commit: ${(await files.readText(`.git/${reference}`)).trim()}`];
  if (!(await files.exists('.git/packed-refs'))) return [];
  const packed = (await files.readText('.git/packed-refs')).split('\n');
  const found = packed.find((line) => line.endsWith(` ${reference}`));
  return found === undefined ? [] : [`commit: ${found.split(' ')[0]}`];
}

async function writeText(files: FileSystem, path: string, text: string): Promise<void> {
  const sink = await files.create(path);
  await sink.write(text);
  await sink.close();
}
