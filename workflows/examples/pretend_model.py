"""A provider for tests, and for looking around without a key: python3 pretend_model.py FILE

It answers as chat completions do, always the same to the same prompt. Its first call is refused as one too
many: FILE remembers that there was one.
"""

import json
import sys
from pathlib import Path

request = json.load(sys.stdin)
prompt = request["messages"][0]["content"]
refused = Path(sys.argv[1])
if not refused.exists():
    refused.touch()
    print('{"error": {"message": "Rate limit reached"}}')
    print("429", end="")
else:
    text = "APPROVED" if "answer APPROVED" in prompt else f"An answer to {len(prompt.split())} words."
    usage = {"total_tokens": len(prompt) // 4 + len(text) // 4}
    print(json.dumps({"choices": [{"message": {"content": text}}], "usage": usage}))
    print("200", end="")
