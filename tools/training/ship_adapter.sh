#!/usr/bin/env bash
# Copy the adapter that experiment.sh trained into the package, as offline:sapbert-x-mini:
#
#   tools/training/ship_adapter.sh FOLDER
#
# FOLDER is the OUT of experiment.sh, or a model folder. Weights, configuration and hashes are copied as they are; in
# the card and in training.json paths of this machine are cut to names, and the card says what the adapter is called,
# where its names come from and how all of it is repeated. The same input gives the same files.
set -euo pipefail
source=${1:?folder of the results}
[ -d "$source/aliases" ] && source=$source/aliases
here=$(cd "$(dirname "$0")" && pwd)
target=$here/../../plugins/offline/bioelx_bench_offline/adapters/sapbert_x_mini
mkdir -p "$target"
for file in encoding.json seen_aliases.npy adapter_config.json adapter_model.safetensors; do
    install -m 644 "$source/$file" "$target/$file"
done
python3 - "$source" "$target" "$here/adapter_sources.md" <<'PYTHON'
import json, re, sys
from pathlib import Path

source, target, sources = map(Path, sys.argv[1:])
report = json.loads((source / "training.json").read_text())
if report["status"] != "finished":
    sys.exit(f"{source} holds a training that is not finished")
command = report["command"]
report["command"] = re.sub(r"(?<= )(--(?:kb|dev|output) )\S*/", r"\1", command)
(target / "training.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
card = (source / "README.md").read_text().replace(command, report["command"])
card = re.sub(r"^# .*$", "# sapbert-x-mini", card, count=1, flags=re.M)
card = card.replace("-R model=FOLDER", "-R model=offline:sapbert-x-mini")
card = card.replace("## Settings", sources.read_text().strip() + "\n\n## Settings", 1)
card += (
    "\n\nor, with both knowledge bases, all three models and their runs on XL-BEL:\n\n"
    "    DATA=FOLDER DICTIONARIES=FOLDER OUT=FOLDER tools/training/experiment.sh\n"
    "    tools/training/ship_adapter.sh FOLDER\n"
)
(target / "README.md").write_text(card)
PYTHON
du -ch "$target"/* | tail -1
