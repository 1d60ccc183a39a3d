#!/usr/bin/env python3
"""PairRM (llm-blender/PairRM) as a rater of `prefgrad rate`: reads a line {"prompt", "answers"} per prompt, writes {"scores"}.

    pip install llm-blender
    prefgrad rate --rows rollouts.jsonl --rater command:"python3 examples/raters/pairrm.py" --out pairs.jsonl

PairRM compares answers two by two; llm-blender's `rank` adds the comparisons up to one score for each answer.
"""
import json
import sys


def text_of(prompt):
    """A prompt is text or a list of messages."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt)


def main():
    answers_to, sys.stdout = sys.stdout, sys.stderr  # llm-blender prints; only scores may go to standard output
    import llm_blender

    blender = llm_blender.Blender()
    blender.loadranker("llm-blender/PairRM")
    for line in sys.stdin:
        task = json.loads(line)
        scores = blender.rank([text_of(task["prompt"])], [task["answers"]], return_scores=True, batch_size=1, disable_tqdm=True)
        print(json.dumps({"scores": [float(score) for score in scores[0]]}), file=answers_to, flush=True)


if __name__ == "__main__":
    main()
