#!/usr/bin/env bash
# Proves that `python3 dev.py demo` needs nothing but Python: a fresh clone of HEAD makes its video where there are no
# fonts, no ffmpeg, no espeak-ng, an empty home and an empty PATH. Nothing outside a temporary folder changes: fonts are
# hidden in a mount namespace of this process. Where that is not permitted it says so and ends with 0.
#
#   bash tests/bare.sh [--small] [more arguments for `storygen run`]
set -euo pipefail

fonts=(/usr/share/fonts /usr/local/share/fonts /usr/share/fontconfig /etc/fonts /var/cache/fontconfig)

main() {
    local root small=()
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    if [[ ${1:-} == --small ]]; then
        shift
        small=(--set film.width=270 --set film.height=480)
    fi

    box=$(mktemp -d)
    trap 'rm -rf "$box"' EXIT
    trap 'exit 130' INT TERM
    mkdir "$box/empty" "$box/home" "$box/bin"

    local unshare=(unshare --mount)
    [[ $(id -u) == 0 ]] || unshare=(unshare --map-root-user --mount)
    if ! "${unshare[@]}" mount --bind "$box/empty" "$box/home" 2>/dev/null; then
        echo "bare.sh: NOT RUN: this machine does not permit mount namespaces (${unshare[*]})"
        exit 0
    fi
    if ! git -C "$root" rev-parse --verify --quiet HEAD >/dev/null; then
        echo "bare.sh: NOT RUN: $root is not a git checkout"
        exit 0
    fi

    git clone --quiet --no-hardlinks "$root" "$box/storygen"
    echo "bare.sh: a fresh clone of $(git -C "$root" log -1 --format='%h %s')"
    git -C "$root" diff --quiet HEAD || echo "bare.sh: what is not committed is not in it"

    # The real interpreter: python3 itself may be a script that needs the PATH and HOME we take away.
    local python
    python=$(python3 -c 'import sys; print(sys._base_executable)')
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$python" >"$box/bin/python3"
    chmod +x "$box/bin/python3"

    local bare=(env -i "HOME=$box/home" "PATH=$box/bin")
    keep_pip_settings
    "${unshare[@]}" "$BASH" -c "$(declare -f hide); hide \"\$@\"" hide "$box/empty" "${fonts[@]}" -- \
        "${bare[@]}" "$box/bin/python3" "$box/storygen/dev.py" demo "${small[@]}" "$@"
    check_film "$box/storygen"
}

# Appends to `bare` what lets pip reach its index: variables, its own configuration, and what it has downloaded before.
keep_pip_settings() {
    local name file
    for name in $(compgen -e); do
        case $name in
        PIP_* | SSL_CERT_* | REQUESTS_CA_BUNDLE | [Hh][Tt][Tt][Pp]*_[Pp][Rr][Oo][Xx][Yy] | [Nn][Oo]_[Pp][Rr][Oo][Xx][Yy] | \
            [Aa][Ll][Ll]_[Pp][Rr][Oo][Xx][Yy]) bare+=("$name=${!name}") ;;
        esac
    done
    for file in "$HOME/.pip/pip.conf" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf"; do
        [[ -n ${PIP_CONFIG_FILE:-} || ! -f $file ]] || bare+=("PIP_CONFIG_FILE=$file")
    done
    [[ -n ${PIP_CACHE_DIR:-} ]] || bare+=("PIP_CACHE_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/pip")
}

# hide EMPTY FOLDER... -- COMMAND...: inside the namespace, lays EMPTY over every folder and becomes the command.
hide() {
    local empty=$1 hidden=()
    shift
    while [[ $1 != -- ]]; do
        if [[ -d $1 ]]; then
            mount --bind "$empty" "$1"
            hidden+=("$1")
        fi
        shift
    done
    shift
    echo "bare.sh: hidden: ${hidden[*]:-no folder, there were none}; HOME; all programs on PATH but python3"
    exec "$@"
}

check_film() {
    "$1/.venv/bin/python" - "$1/runs/demo/final.mp4" <<'PY'
import sys

import av

with av.open(sys.argv[1]) as film:
    picture, sound = film.streams.video[0], film.streams.audio[0]
    frames = sum(1 for _ in film.decode(picture))
    print(f"bare.sh: {picture.width}x{picture.height}, {frames} frames, {film.duration / 1e6:.1f} s, {sound.codec.name}")
    if frames < 25 or abs(frames / float(picture.average_rate) - film.duration / 1e6) > 0.5:
        sys.exit("bare.sh: FAILED: frames and duration do not fit")
PY
    echo "bare.sh: passed"
}

main "$@"
