#!/usr/bin/env bash
# The uplift of aliases: one encoder untrained, trained on English names, and trained on aliases of eleven languages, with
# the same steps and seed, on XL-BEL with a dictionary of English names.
#
#   DATA=FOLDER OUT=FOLDER benchmarks/training/experiment.sh
#
# DATA holds kb_open/merged/kb_open_aliases.tsv (MONDO, Disease Ontology, HPO with its translations, Wikidata labels) and
# wikimed_de/ (train aliases and development mentions of WikiMed-DE); nothing of XL-BEL or of a test split is trained
# on. Every step continues where it stopped when the script is run again. On two cores without bf16 a training takes about
# 45 minutes of both, and encoding the dictionary about ten minutes for each of the three models.
set -euo pipefail
: "${DATA:?folder of the data}" "${OUT:?folder of the results}"
STEPS=${STEPS:-800}
export OMP_WAIT_POLICY=PASSIVE
mkdir -p "$OUT"
table=$DATA/kb_open/merged/kb_open_aliases.tsv
german=$DATA/wikimed_de/derived/wikimed_de_train_aliases.tsv
dev=$DATA/wikimed_de/bel_queries/de_wikimed_bel_dev_query.txt

# Rows whose identifier is no CUI (MedGen's CL…) are left out; both knowledge bases hold the rest unchanged.
cui='NR == 1 || $1 ~ /^C[0-9][0-9][0-9][0-9][0-9][0-9][0-9]$/'
if [ ! -s "$OUT/english.tsv" ]; then
    { awk -F'\t' "$cui" "$table"; awk -F'\t' "NR > 1 && ($cui)" "$german"; } >"$OUT/all.tsv"
    awk -F'\t' 'NR == 1 || $2 == "en"' "$OUT/all.tsv" >"$OUT/english.part"
    mv "$OUT/english.part" "$OUT/english.tsv"
fi
bioelx-bench kb build table "$OUT/all.tsv" --name open-aliases --output "$OUT/kb-aliases"
bioelx-bench kb build table "$OUT/english.tsv" --name open-english --output "$OUT/kb-english"

train() { # NAME LANGUAGES [SETTING]...
    local name=$1 languages=$2 settings=()
    shift 2
    for setting in "$@" steps="$STEPS" batch_pairs=96 learning_rate=1e-3 schedule=linear warmup_steps=40 \
        max_grad_norm=1 lora_rank=32 dropout=0 pooling=mean max_characters=32 held_out=0.02 seed=0 \
        save_steps=100 eval_steps=400 development_queries=300 development_names=1500; do
        settings+=(--set "$setting")
    done
    bioelx-bench train sapbert-x --model offline:e5-small --kb "$OUT/kb-aliases" --output "$OUT/$name" \
        --dev "$dev" --set languages="$languages" "${settings[@]}"
}

score() { # MODEL; folders are named as seen from OUT, so that results hold no path of this machine
    (cd "$OUT" && bioelx-bench run --dataset xl-bel --kb ./kb-english --retriever sapbert-x -R model="$1" \
        -R pooling=mean -R lowercase=both --ranker none --k 20 --output runs)
}

train aliases en,de,es,fr,it,nl,pt,cs,tr,ja,zh language_temperature=1.5 crosslingual_share=0.7
score ./aliases
score offline:e5-small
train english en
score ./english
