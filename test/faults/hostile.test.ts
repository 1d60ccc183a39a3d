/** Inputs that are made to hang, to fill memory or to exhaust the stack end with one sentence that names their place. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/cli/config-file.ts';
import { parseOverride } from '../../src/cli/overrides.ts';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import { prepareDataset } from '../../src/data/prepare.ts';
import { InputError } from '../../src/errors.ts';
import { PeftAdapter } from '../../src/formats/peft.ts';
import { SafetensorsFile } from '../../src/formats/safetensors.ts';
import { writeSafetensors } from '../../src/formats/safetensors-writer.ts';
import { describeModel } from '../../src/models/registry.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { blobSource } from '../../src/runtime/web-sources.ts';

const MODEL = 'examples/stories260K';
const CHAT = JSON.stringify({
  prompt: [{ role: 'user', content: `${'a'.repeat(40)}b` }],
  chosen: [{ role: 'assistant', content: 'x' }],
  rejected: [{ role: 'assistant', content: 'y' }],
});
const PLAIN = JSON.stringify({ prompt: `${'a'.repeat(40)}b`, chosen: ' x', rejected: ' y' });

/** Reads twenty rows with stories260K's tokenizer after `edit`. */
async function readRows(row: string, edit: (json: Record<string, unknown>) => void, template?: string) {
  const files = new MemoryFiles();
  const json = JSON.parse(readFileSync(`${MODEL}/tokenizer.json`, 'utf8')) as Record<string, unknown>;
  edit(json);
  files.add('m/tokenizer.json', JSON.stringify(json));
  files.add('m/tokenizer_config.json', readFileSync(`${MODEL}/tokenizer_config.json`, 'utf8'));
  files.add('rows.jsonl', `${row}\n`.repeat(20));
  const tokenizer = await loadTokenizer(files, 'm', template);
  return prepareDataset({ files, path: 'rows.jsonl', tokenizer, modelVocabSize: 512 });
}

const fails = async (action: () => unknown, says: RegExp) => {
  const failure = await Promise.resolve()
    .then(action)
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(InputError);
  expect((failure as Error).message).toMatch(says);
};

describe('what never ends', () => {
  it('a template that counts to a billion', () => {
    const loop = (inner: string) => `{% for i in range(30000) %}${inner}{% endfor %}`;
    return fails(
      () => readRows(CHAT, () => {}, `${loop(loop(''))}{{ messages }}`),
      /rows\.jsonl:1: takes longer than 5 s/,
    );
  });

  it('a pattern that tries every way to split', () =>
    fails(
      () =>
        readRows(PLAIN, (json) => {
          const pattern = { Regex: '(a+)+$' };
          json.pre_tokenizer = { type: 'Split', pattern, behavior: 'Isolated', invert: false };
        }),
      /rows\.jsonl:1: takes longer than 5 s/,
    ));

  it('normalizers that double a text thirty times', () =>
    fails(
      () =>
        readRows(PLAIN, (json) => {
          const double = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' };
          json.normalizer = { type: 'Sequence', normalizers: Array.from({ length: 30 }, () => double) };
        }),
      /m\/tokenizer\.json: the normalizer makes a text 1\.07e\+9 times as long/,
    ));
});

describe('token ids that are none', () => {
  it.each([-1, 0.5, 1e10, null])('%j of an added token', (id) =>
    fails(
      () =>
        readRows(PLAIN, (json) =>
          (json.added_tokens as { id: unknown }[]).push({ content: 'zzz', id } as never),
        ),
      /m\/tokenizer\.json: the token .* has the id .*, which is no token id/,
    ),
  );

  it('of the vocabulary', () =>
    fails(
      () => readRows(PLAIN, (json) => Object.assign((json.model as { vocab: object }).vocab, { zzz: -3 })),
      /the token "zzz" has the id -3/,
    ));

  it('that end a text', async () => {
    const files = new MemoryFiles();
    files.add('m/tokenizer.json', readFileSync(`${MODEL}/tokenizer.json`, 'utf8'));
    files.add('m/generation_config.json', '{"eos_token_id": [2, -7]}');
    await fails(
      () => loadTokenizer(files, 'm'),
      /m\/generation_config\.json: eos_token_id: -7 is no token id/,
    );
  });
});

describe('what has no bottom', () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  it('a row', () =>
    fails(
      () => readRows(`{"prompt": ${deep}, "chosen": "a", "rejected": "b"}`, () => {}),
      /rows\.jsonl:1: it is nested deeper/,
    ));
  it('YAML', () =>
    fails(() => parseConfig(`model: ${deep}`, 'run.yaml'), /run\.yaml: nested deeper than 100 levels/));
  it('YAML in a circle', () =>
    fails(() => parseConfig('model: &a\n  path: *a\n', 'run.yaml'), /run\.yaml: nested deeper.*circle/));
});

describe('YAML aliases', () => {
  it('without an anchor', () =>
    fails(() => parseConfig('data: {train: *.jsonl}\n', 'run.yaml'), /run\.yaml:.*\.jsonl/));
  it('that multiply', () => {
    const lines = ['a0: &a0 [x, x]'];
    for (let i = 1; i < 30; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    return fails(() => parseConfig(lines.join('\n'), 'run.yaml'), /run\.yaml: Excessive alias count/);
  });
  it('of --set', () =>
    expect(parseOverride('seed=*a')).toMatchObject({ problem: expect.stringContaining('--set seed') }));
});

describe('sizes that fill memory', () => {
  it.each(['range(1000000000)', 'range(0, -1000000000, -1)'])('a template with %s', (range) =>
    fails(
      () => readRows(CHAT, () => {}, `{% for i in ${range} %}{% endfor %}{{ messages }}`),
      /rows\.jsonl:1: the chat template \(chat_template\) goes too far: range\(\) of 1000000000 elements; at most 100000/,
    ),
  );
  const grow = (start: string, step: string, inner = '') =>
    `{% set ns = namespace(v=${start}, w=[]) %}{% for i in range(150) %}{% set ns.v = ${step} %}${inner}{% endfor %}{{ ns.v }}`;
  it.each([
    ['a text that doubles', grow('"ab"', 'ns.v ~ ns.v'), /it makes a text of 33554432 characters/],
    ['a list that doubles', grow('[1]', 'ns.v + ns.v'), /it makes a list of 1048576 elements/],
    [
      'many lists',
      grow('range(99999)', 'ns.v + []', '{% set ns.w = ns.w + [ns.v + [i]] %}'),
      /it makes lists of/,
    ],
    ['an indent', '{{ "a"|indent(400000000, true) }}', /it makes a text of 400000001 characters/],
  ])('a template with %s', (_, template, says) => fails(() => readRows(CHAT, () => {}, template), says));
  const config = JSON.parse(readFileSync(`${MODEL}/config.json`, 'utf8')) as Record<string, unknown>;
  it('layers', () =>
    fails(
      () => describeModel({ ...config, num_hidden_layers: 1e6 }, 'c.json'),
      /c\.json.*\n.*num_hidden_layers: 1000000 is more/,
    ));
  it('an infinite epsilon', () =>
    fails(
      () => describeModel({ ...config, rms_norm_eps: Number.POSITIVE_INFINITY }, 'c.json'),
      /rms_norm_eps: expected a positive number/,
    ));
  it('steps', () =>
    fails(
      () => parseConfig('training: {max_steps: 1000000000}\n', 'run.yaml'),
      /training\.max_steps: found 1000000000; expected/,
    ));
});

describe('adapters and tensors', () => {
  const NAME = 'base_model.model.model.layers.0.self_attn.q_proj';
  async function adapter(config: Record<string, unknown>, dtype = 'F16', byte = 0) {
    const files = new MemoryFiles();
    files.add('a/adapter_config.json', JSON.stringify({ peft_type: 'LORA', r: 1, lora_alpha: 1, ...config }));
    const half = (name: string, shape: number[]) => ({
      name: `${NAME}.${name}.weight`,
      dtype,
      shape,
      read: () => [new Uint8Array(8).fill(byte)],
    });
    await writeSafetensors(await files.create('a/adapter_model.safetensors'), [
      half('lora_A', [1, 4]),
      half('lora_B', [4, 1]),
    ]);
    return PeftAdapter.open(files, 'a');
  }
  it('in integers', () =>
    fails(() => adapter({}, 'I16'), /lora_A\.weight: I16 is not supported, only F32, F16 and BF16/));
  it('with a key that every object has', () =>
    fails(() => adapter({ constructor: 1 }), /constructor: 1 is not supported/));
  it('with an infinite scale', () =>
    fails(() => adapter({ lora_alpha: 1e300 }), /lora_alpha: 1e\+300 is not a positive number/));
  it('with values that are not finite', async () => {
    const read = (await adapter({}, 'F16', 0x7c)).readTensor(`${NAME.slice(17)}.lora_A.weight`);
    await expect(read).rejects.toThrow(/^a: model\.layers.*lora_A\.weight has values that are not finite/);
  });
  it('of one name', () => {
    const entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
    const header = new TextEncoder().encode(`{"a":${entry},"a":${entry}}`);
    const bytes = new Uint8Array(8 + header.length + 4);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
    bytes.set(header, 8);
    return fails(
      () => SafetensorsFile.open(blobSource(new Blob([bytes]), 'w')),
      /w: the tensor a is there twice/,
    );
  });
});
