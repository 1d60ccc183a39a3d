"""One LoRA DPO step in PyTorch, timed: python3 pytorch_dpo.py WORK.json

WORK.json is what compare.ts writes: the sizes of a Llama, beta, LoRA's settings, the number of rounds, and rows of token
ids. The model is transformers' LlamaForCausalLM with random weights, in bf16 with SDPA on a GPU (f32 on a CPU), chosen and
rejected answers concatenated into one padded batch as in TRL's DPOTrainer. Reference log-probs are computed once before
the clock starts, as ours are. Eager, or through torch.compile where WORK.json says "compiled". Prints one line of JSON.
"""
import json
import math
import statistics
import sys
import time


def main() -> None:
    with open(sys.argv[1], encoding="utf8") as file:
        work = json.load(file)
    try:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError as missing:
        sys.exit(f"Python has no {missing.name}")

    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    dtype = torch.bfloat16 if on_gpu else torch.float32
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=work["vocabulary"],
        hidden_size=work["hidden"],
        intermediate_size=work["inner"],
        num_hidden_layers=work["layers"],
        num_attention_heads=work["heads"],
        num_key_value_heads=work["kvHeads"],
        max_position_embeddings=4096,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config).to(device=device, dtype=dtype)
    model.requires_grad_(False)
    trained = add_lora(torch, model, work["lora"])
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()
    optimizer = torch.optim.AdamW(trained, lr=1e-6, fused=on_gpu)
    ids, mask, response = concatenated(torch, work["rows"], device)

    def sequence_logps(run):
        # Logits of the response positions only, so that PyTorch is not charged for the prompt's.
        hidden = run(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
        wanted = response[:, 1:].bool()
        logits = model.lm_head(hidden[wanted]).float()
        token = torch.log_softmax(logits, -1).gather(-1, ids[:, 1:][wanted].unsqueeze(-1)).squeeze(-1)
        rows = torch.arange(ids.shape[0], device=device).unsqueeze(1).expand_as(wanted)[wanted]
        return torch.zeros(ids.shape[0], device=device).index_add(0, rows, token)

    with torch.no_grad():
        reference = sequence_logps(model.model)

    def step(run) -> float:
        policy = sequence_logps(run)
        chosen, rejected = (policy - reference).chunk(2)
        loss = -torch.nn.functional.logsigmoid(work["beta"] * (chosen - rejected)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def timed(run):
        first = step(run)
        times = []
        for _ in range(work["rounds"]):
            start = time.perf_counter()
            step(run)
            times.append(1000 * (time.perf_counter() - start))
        return first, statistics.median(times)

    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    # torch.compile needs a C compiler, which a bare box may lack; its message is then what the row says.
    first, ms = timed(torch.compile(model.model) if work["compiled"] else model.model)
    if abs(first - math.log(2)) > 1e-3:
        sys.exit(f"PyTorch's first loss is {first}, not ln 2")
    print(json.dumps({
        "device": torch.cuda.get_device_name() if on_gpu else "CPU",
        "torch": torch.__version__,
        "step_ms": ms,
        "peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else 0,
        "first_loss": first,
    }))


def add_lora(torch, model, lora):
    """Wraps the target projections: y = base(x) + alpha / r * B(A(x)), A and B in f32 as PEFT keeps them."""
    scale = lora["lora_alpha"] / lora["r"]
    trained = []

    class Adapted(torch.nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base = base
            self.a = torch.nn.Parameter(torch.randn(lora["r"], base.in_features, device=base.weight.device) * 0.01)
            self.b = torch.nn.Parameter(torch.zeros(base.out_features, lora["r"], device=base.weight.device))
            trained.extend([self.a, self.b])

        def forward(self, x):
            update = (x @ self.a.to(x.dtype).T) @ self.b.to(x.dtype).T
            return self.base(x) + scale * update

    for layer in model.model.layers:
        for block in (layer.self_attn, layer.mlp):
            for name in lora["target_modules"]:
                if hasattr(block, name):
                    setattr(block, name, Adapted(getattr(block, name)))
    return trained


def concatenated(torch, rows, device):
    """ids, attention mask and response mask [2 x pairs, longest]: all chosen answers, then all rejected ones."""
    answers = [(row["prompt"], row[side]) for side in ("chosen", "rejected") for row in rows]
    longest = max(len(prompt) + len(answer) for prompt, answer in answers)
    ids = torch.zeros(len(answers), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    response = torch.zeros_like(ids)
    for i, (prompt, answer) in enumerate(answers):
        end = len(prompt) + len(answer)
        ids[i, :end] = torch.tensor(prompt + answer)
        mask[i, :end] = 1
        response[i, len(prompt):end] = 1
    return ids.to(device), mask.to(device), response.to(device)


if __name__ == "__main__":
    main()
