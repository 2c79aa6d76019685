"""Print a workflow with a job for each *.log file of a folder, and one that adds up.

python3 per_file.py /var/log/nginx > per-file.json
"""

import json
import sys
from pathlib import Path

COUNT = """
errors=$(awk '$9 >= 500' "$FILE" | wc -l)
echo "::set-output errors=$((errors))"
"""
# What its parents hand on is in its environment, so it needs no folder that all workers share.
ADD_UP = """
errors=$(env | awk -F= '/^OUTPUT_FILE_[0-9]+_ERRORS=/ { all += $2 } END { print all + 0 }')
echo "$errors errors in $FILES files"
echo "::set-output errors=$errors"
"""

files = sorted(Path(sys.argv[1]).resolve().glob("*.log"))
jobs: dict[str, object] = {
    f"file-{number}": {"name": path.name, "run": COUNT, "env": {"FILE": str(path)}, "retries": 2}
    for number, path in enumerate(files)
}
jobs["add-up"] = {"needs": list(jobs), "run": ADD_UP, "env": {"FILES": str(len(files))}}
json.dump({"name": "A job for each file", "jobs": jobs}, sys.stdout)
