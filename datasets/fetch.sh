#!/usr/bin/env bash
# Fetch well-known public sets from the LIBSVM data page and convert them into stores.
#
#     fetch.sh NAME...     download, check and convert these sets
#     fetch.sh --list      print the names and the files of each
#
# Files go into datasets/downloads, or into the folder $UNFENCED_DATA. $UNFENCED_MIRROR replaces the page's address; the
# paths below it stay the same. An interrupted download goes on where it stopped when the same name is fetched again.
#
# A file's sha256 is compared with checksums.txt beside this script or, for files not listed there, with
# checksums.local.txt in the download folder. A file that differs is refused. A file in neither is trusted once: when it
# has been converted, its sha256 is printed and added to checksums.local.txt.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mirror=${UNFENCED_MIRROR:-https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets}
folder=${UNFENCED_DATA:-$root/datasets/downloads}

# The name of a set, then its files: the training file, then the test file if there is one.
sets() {
    cat <<'END'
a9a             binary/a9a binary/a9a.t
avazu           binary/avazu-app.bz2 binary/avazu-app.t.bz2
covtype.binary  binary/covtype.libsvm.binary.scale.bz2
criteo          binary/criteo.kaggle2014.svm.tar.xz
epsilon         binary/epsilon_normalized.bz2 binary/epsilon_normalized.t.bz2
ijcnn1          binary/ijcnn1.bz2 binary/ijcnn1.t.bz2
kdda            binary/kdda.bz2 binary/kdda.t.bz2
kddb            binary/kddb.bz2 binary/kddb.t.bz2
kddb-raw        binary/kddb-raw-libsvm.bz2 binary/kddb-raw-libsvm.t.bz2
mnist           multiclass/mnist.scale.bz2 multiclass/mnist.scale.t.bz2
news20          multiclass/news20.bz2 multiclass/news20.t.bz2
news20.binary   binary/news20.binary.bz2
rcv1            binary/rcv1_train.binary.bz2 binary/rcv1_test.binary.bz2
real-sim        binary/real-sim.bz2
splice-site     binary/splice_site.xz
splice-site.t   binary/splice_site.t.xz
url_combined    binary/url_combined.bz2
w8a             binary/w8a binary/w8a.t
webspam         binary/webspam_wc_normalized_trigram.svm.xz
END
}

fail() {
    printf 'fetch.sh: %s\n' "$1" >&2
    exit "${2:-1}"
}

usage() {
    awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}"
}

paths_of() {
    sets | awk -v name="$1" '$1 == name { $1 = ""; print }'
}

sha256_of() {
    if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

recorded_sha256_of() {
    awk -v file="$1" '$2 == file && !found { print $1; found = 1 }' "$root/datasets/checksums.txt" "$folder/checksums.local.txt"
}

# Downloads a file under a temporary name and gives it its own name only when its checksum is not a wrong one.
fetch() {
    local url=$mirror/$1 file=${1##*/}
    if [[ -e $folder/$file ]]; then
        matches "$folder/$file" "$file" || fail "$folder/$file was left as it is; move it away to fetch it again"
        return
    fi
    printf 'fetching %s\n' "$url" >&2
    curl -fL --retry 3 -C - -o "$folder/$file.part" "$url" ||
        fail "$url could not be fetched; run again to go on where it stopped, or delete $folder/$file.part to start over"
    if ! matches "$folder/$file.part" "$file"; then
        mv -f "$folder/$file.part" "$folder/$file.refused"
        fail "the download was refused and kept as $folder/$file.refused"
    fi
    mv "$folder/$file.part" "$folder/$file"
}

# Does the file at path $1 have the sha256 recorded for the name $2? Yes, if none is recorded.
matches() {
    local wanted found
    wanted=$(recorded_sha256_of "$2") || return 1
    [[ -n $wanted ]] || return 0
    found=$(sha256_of "$1") || return 1
    [[ $found == "$wanted" ]] || {
        printf 'fetch.sh: %s has the sha256 %s; wanted %s\n' "$2" "$found" "$wanted" >&2
        return 1
    }
}

# Trusts a file that came first and could be converted: later ones of its name must be the same.
record() {
    local found
    [[ -z $(recorded_sha256_of "$1") ]] || return 0
    found=$(sha256_of "$folder/$1")
    printf '%s  %s\n' "$found" "$1" >>"$folder/checksums.local.txt"
    printf 'no checksum of %s was recorded; from now on it is %s\n' "$1" "$found" >&2
}

unfenced_convert() {
    if command -v unfenced >/dev/null; then
        unfenced convert "$1" "$2"
    else
        (cd "$root" && cargo run --release --quiet -- convert "$1" "$2")
    fi
}

# Writes FILE.unf beside FILE, without the .bz2 or .xz; an archive gives a store for each of its files.
convert() {
    local source=$1 store=${1%.bz2} text unpacked
    if [[ $source == *.tar.xz ]]; then
        unpacked=${source%.tar.xz}.unpacked
        rm -rf "$unpacked"
        mkdir "$unpacked"
        tar -xJf "$source" -C "$unpacked" || fail "$source could not be unpacked"
        for text in "$unpacked"/*/*.svm; do
            store=${text##*/}
            convert_once "$text" "${source%.tar.xz}.${store%%.*}.unf"
        done
        rm -rf "$unpacked"
    else
        convert_once "$source" "${store%.xz}.unf"
    fi
}

convert_once() {
    if [[ ! -e $2 ]]; then
        unfenced_convert "$1" "$2" || fail "$1 could not be converted; delete it to fetch it again"
    fi
    printf '%s\n' "$2"
}

main() {
    local name path paths
    case ${1:-} in
        --list) sets; return ;;
        -h | --help) usage; return ;;
        '') usage >&2; exit 2 ;;
    esac
    for name in "$@"; do
        [[ -n $(paths_of "$name") ]] || fail "there is no set named $name; fetch.sh --list prints the names" 2
    done
    command -v curl >/dev/null || fail 'curl is wanted and not installed'
    command -v unfenced >/dev/null || command -v cargo >/dev/null || fail 'unfenced is wanted on PATH, or cargo to build it'
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    touch "$folder/checksums.local.txt"
    for name in "$@"; do
        read -ra paths <<<"$(paths_of "$name")"
        for path in "${paths[@]}"; do
            fetch "$path"
            convert "$folder/${path##*/}"
            record "${path##*/}"
        done
    done
}

main "$@"
