#!/usr/bin/env bash
# The uplift of aliases: one encoder untrained, trained on English names, and trained on aliases of fourteen languages, with
# the same steps and seed, on XL-BEL with a dictionary of English names.
#
#   DATA=FOLDER DICTIONARIES=FOLDER OUT=FOLDER tools/training/experiment.sh
#
# DATA holds kb_open/merged/kb_open_aliases.tsv (MONDO, Disease Ontology, HPO with its translations, Wikidata labels) and
# wikimed_de/ (train aliases and development mentions of WikiMed-DE); DICTIONARIES what dictionaries.sh gets. Nothing
# of XL-BEL or of a test split is trained on. Every step continues where it stopped when the script is run again. On two
# cores with bf16 both trainings, side by side with one thread each, take about an hour and a quarter, and encoding
# the dictionary three to six minutes for each of the three models.
set -euo pipefail
: "${DATA:?folder of the data}" "${DICTIONARIES:?folder of the dictionaries}" "${OUT:?folder of the results}"
STEPS=${STEPS:-1200}
export OMP_WAIT_POLICY=PASSIVE
tools=$(cd "$(dirname "$0")/../../tools" && pwd)
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
bioelx-bench kb build table "$OUT/all.tsv" --name open-aliases --output "$OUT/kb-open"
bioelx-bench kb build table "$OUT/english.tsv" --name open-english --output "$OUT/kb-english"

# Common names are borne by two or three concepts of the open ontologies: max_concepts, and no cleaning of shared ones.
if [ ! -d "$OUT/kb-aliases" ]; then
    files=$(cd "$DICTIONARIES" && printf "$DICTIONARIES/%s," *.index edict hanja.txt)
    PYTHONPATH=$tools bioelx-bench --plugin "$tools/dictionaries/plugin.py" aliases fetch dictionary -O kb="$OUT/kb-open" -O files="$files" -O max_concepts=3 \
        -O languages=de,es,fi,ja,ko,ru,tr --clean drop_shared=false --output "$OUT/dictionaries.parquet"
    bioelx-bench kb add-aliases "$OUT/kb-open" "$OUT/dictionaries.parquet" --name open-aliases-x \
        --output "$OUT/kb-aliases"
fi

train() { # NAME LANGUAGES [SETTING]...
    local name=$1 languages=$2 settings=()
    shift 2
    for setting in steps="$STEPS" batch_pairs=96 learning_rate=1.5e-4 schedule=linear warmup_steps=50 max_grad_norm=1 \
        loss=infonce temperature=0.02 hard_negatives=0.5 negative_languages=en negative_pool=50000 negative_steps=600 \
        adapter_rank=96 dropout=0 pooling=mean max_characters=32 held_out=0.02 seed=0 save_steps=100 eval_steps=600 \
        development_queries=300 development_names=5000 threads=1 languages="$languages" "$@"; do
        settings+=(--set "$setting")
    done
    bioelx-bench train sapbert-x --model offline:e5-small --kb "$OUT/kb-aliases" --output "$OUT/$name" \
        --dev "$dev" "${settings[@]}"
}

score() { # MODEL; folders are named as seen from OUT, so that results hold no path of this machine
    (cd "$OUT" && bioelx-bench run --dataset xl-bel --kb ./kb-english --retriever sapbert-x -R model="$1" \
        -R pooling=mean -R lowercase=both --ranker none --k 20 --output runs)
}

train english en &
train aliases en,de,es,fi,fr,it,nl,pt,cs,ru,tr,ko,ja,zh pivot=en,de language_temperature=2 crosslingual_share=0.75 \
    endings_share=0.25
wait $!
score ./aliases
score offline:e5-small
score ./english
