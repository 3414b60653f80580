#!/usr/bin/env bash
# Put the bilingual dictionaries that experiment.sh reads into a folder, from Debian's packages (Debian 12):
#
#   tools/training/dictionaries.sh FOLDER
#
# FreeDict's are those made by WikDict from Wiktionary (CC BY-SA 3.0), EDICT is of the Electronic Dictionary Research and
# Development Group (CC BY-SA), hanja.txt is of libhangul (BSD). Elsewhere get the same files from freedict.org,
# edrdg.org and libhangul's repository.
set -euo pipefail
folder=$(realpath -m "${1:?folder to make}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$folder"
pairs="eng-fin fin-eng deu-fin fra-fin ita-fin nld-fin deu-rus fra-rus ita-rus nld-rus deu-spa fra-tur eng-jpn"
(cd "$scratch" && apt-get download $(printf 'dict-freedict-%s ' $pairs) edict libhangul-data)
for package in "$scratch"/*.deb; do
    dpkg-deb --extract "$package" "$scratch/files"
done
for pair in $pairs; do
    install -m 644 "$scratch/files/usr/share/dictd/freedict-$pair".{index,dict.dz} "$folder"
done
install -m 644 "$scratch/files/usr/share/edict/edict" "$scratch/files/usr/share/libhangul/hanja/hanja.txt" "$folder"
