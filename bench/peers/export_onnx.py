#!/usr/bin/python3
"""A Llama directory as transformers.js reads it: onnx/model.onnx with a cache of keys and values, beside the tokenizer.
Needs PyTorch alone. Usage: export_onnx.py MODEL OUT"""
import json
import pathlib
import shutil
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'test/fixtures/torch'))
import safetensors_file


class Llama(torch.nn.Module):
    """input_ids, attention_mask [B, past + T], position_ids, past keys and values [B, heads, past, dim] -> logits, new ones."""

    def __init__(self, config, weights):
        super().__init__()
        self.config = config
        self.names = {name: name.replace('.', '_') for name in weights}
        for name, flat in self.names.items():
            self.register_buffer(flat, weights[name].float())
        dim = config['hidden_size'] // config['num_attention_heads']
        inverse = config['rope_theta'] ** (-torch.arange(0, dim, 2).double() / dim)
        angles = torch.arange(config['max_position_embeddings']).double()[:, None] * torch.cat([inverse, inverse])
        self.register_buffer('cos', angles.cos().float())
        self.register_buffer('sin', angles.sin().float())

    def weight(self, name):
        return getattr(self, self.names[f'{name}.weight'])

    def norm(self, x, name):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.config['rms_norm_eps']) * self.weight(name)

    def forward(self, input_ids, attention_mask, position_ids, *past):
        heads, kv = self.config['num_attention_heads'], self.config['num_key_value_heads']
        dim = self.config['hidden_size'] // heads
        batch, length = input_ids.shape[0], input_ids.shape[1]
        total = attention_mask.shape[1]
        query = torch.arange(total)[total - length:]
        seen = (torch.arange(total)[None, :] <= query[:, None])[None, None] & (attention_mask[:, None, None, :] > 0)
        cos, sin = (t[position_ids][:, None] for t in (self.cos, self.sin))
        turn = lambda t: t * cos + torch.cat([-t[..., dim // 2:], t[..., :dim // 2]], -1) * sin
        x = torch.nn.functional.embedding(input_ids, self.weight('model.embed_tokens'))
        present = []
        for n in range(self.config['num_hidden_layers']):
            layer = f'model.layers.{n}.'
            h = self.norm(x, layer + 'input_layernorm')
            split = lambda p, count: (h @ self.weight(f'{layer}self_attn.{p}_proj').T).reshape(batch, length, count, dim).transpose(1, 2)
            q, k, v = turn(split('q', heads)), turn(split('k', kv)), split('v', kv)
            k, v = torch.cat([past[2 * n], k], 2), torch.cat([past[2 * n + 1], v], 2)
            present += [k, v]
            spread = lambda t: t[:, :, None].expand(batch, kv, heads // kv, total, dim).reshape(batch, heads, total, dim)
            scores = (q @ spread(k).transpose(-1, -2)) / dim ** 0.5
            p = torch.where(seen, scores, torch.full_like(scores, -1e9)).softmax(-1)
            x = x + (p @ spread(v)).transpose(1, 2).reshape(batch, length, heads * dim) @ self.weight(f'{layer}self_attn.o_proj').T
            h = self.norm(x, layer + 'post_attention_layernorm')
            gate = h @ self.weight(f'{layer}mlp.gate_proj').T
            x = x + (gate * gate.sigmoid() * (h @ self.weight(f'{layer}mlp.up_proj').T)) @ self.weight(f'{layer}mlp.down_proj').T
        head = 'model.embed_tokens' if self.config['tie_word_embeddings'] else 'lm_head'
        return (self.norm(x, 'model.norm') @ self.weight(head).T, *present)


def main(source, target):
    config = json.loads((source / 'config.json').read_text())
    model = Llama(config, safetensors_file.load(source / 'model.safetensors'))
    layers, kv = config['num_hidden_layers'], config['num_key_value_heads']
    dim = config['hidden_size'] // config['num_attention_heads']
    batch, past, length = 2, 3, 4
    inputs = (
        torch.ones(batch, length, dtype=torch.int64),
        torch.ones(batch, past + length, dtype=torch.int64),
        torch.arange(past, past + length)[None].repeat(batch, 1),
        *[torch.zeros(batch, kv, past, dim) for _ in range(2 * layers)],
    )
    pairs = [f'{n}.{part}' for n in range(layers) for part in ('key', 'value')]
    names = ['input_ids', 'attention_mask', 'position_ids', *[f'past_key_values.{pair}' for pair in pairs]]
    outputs = ['logits', *[f'present.{pair}' for pair in pairs]]
    axes = {
        'input_ids': {0: 'batch', 1: 'length'}, 'position_ids': {0: 'batch', 1: 'length'},
        'attention_mask': {0: 'batch', 1: 'total'}, 'logits': {0: 'batch', 1: 'length'},
        **{name: {0: 'batch', 2: 'past'} for name in names[3:]}, **{name: {0: 'batch', 2: 'total'} for name in outputs[1:]},
    }
    (target / 'onnx').mkdir(parents=True, exist_ok=True)
    torch.onnx.export(model, inputs, str(target / 'onnx/model.onnx'), input_names=names, output_names=outputs,
                      dynamic_axes=axes, opset_version=14)
    for name in ('config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json'):
        if (source / name).exists():
            shutil.copy(source / name, target / name)


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
