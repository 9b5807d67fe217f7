# Sourced by `test` and `twinstack`: brings in what a bare Debian lacks, or says what it would bring in.

say() { printf '%s\n' "$*" >&2; }

# need_programs PROGRAM PACKAGE [PROGRAM PACKAGE ...]
need_programs() {
    local missing=() path=$PATH:/usr/sbin:/sbin
    while [ $# -ge 2 ]; do
        # What is no program is named by its path.
        [[ $1 == /* && -e $1 ]] || PATH=$path command -v "$1" >/dev/null 2>&1 || missing+=("$2")
        shift 2
    done
    # C headers come with no program of their own.
    [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
    # curl and cargo only recommend them.
    [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] ||
        missing+=(ca-certificates)
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# install_packages PACKAGE...: as root or with sudo, or says what it would do.
install_packages() {
    local missing=("$@")
    if ! command -v apt-get >/dev/null 2>&1; then
        say "missing: ${missing[*]} (names of Debian packages)"
        say "this machine has no apt-get; install their equivalents, then run this again"
        exit 2
    fi
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
            as_root=(sudo)
        else
            say "missing: ${missing[*]}"
            say "as root this would run: apt-get install --no-install-recommends ${missing[*]}"
            say "run that, or run this as root or with sudo"
            exit 2
        fi
    fi
    say "installing: ${missing[*]}"
    # The servers are only ever started inside the lab: their packages must not start them on this machine.
    local policy=/usr/sbin/policy-rc.d ours=
    if [ ! -e $policy ]; then
        # Gone again, whatever ends this.
        trap '"${as_root[@]}" rm -f '"$policy" EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
        "${as_root[@]}" chmod 755 $policy
        ours=yes
    fi
    local status=0
    {
        "${as_root[@]}" apt-get update -q &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install -q -y --no-install-recommends "${missing[@]}"
    } >&2 </dev/null || status=$?
    if [ -n "$ours" ]; then
        "${as_root[@]}" rm -f $policy
        trap - EXIT
    fi
    if [ $status -ne 0 ]; then
        say "installing failed; read the messages above"
        exit 2
    fi
}

# debian_has PACKAGE: the version that apt-get would install; nothing if there is none.
debian_has() {
    apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9].*\)$/\1/p'
}

# at_least LEAST VERSION: whether the version is that or newer.
at_least() {
    [ -n "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# need_rust: cargo in PATH, new enough for this workspace; rustup brings the version that rust-toolchain.toml names.
need_rust() {
    local workspace least has installer status=0
    workspace=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    least=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$workspace/Cargo.toml")
    [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] && PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    if command -v cargo >/dev/null 2>&1; then
        # In the workspace, because this is where rustup looks which version is wanted, and fetches it.
        if ! has=$(cd "$workspace" && cargo --version); then
            say "cargo ($(command -v cargo)) does not run; read the message above"
            exit 2
        fi
        has=${has#cargo }
        has=${has%% *}
        at_least "$least" "$has" && return
        say "cargo ($(command -v cargo)) is $has, Twinstack needs Rust $least or newer"
    else
        say "Rust is missing"
    fi
    say "installing it for this user with rustup (https://rustup.rs)"
    need_programs curl curl
    installer=$(mktemp)
    if curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs -o "$installer"; then
        sh "$installer" -y --profile minimal >&2 || status=$?
        rm -f "$installer"
        if [ $status -ne 0 ]; then
            say "rustup did not install Rust; read the messages above"
            exit 2
        fi
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    else
        rm -f "$installer"
        # Debian has rustup from 13 on; in 12 a recent Rust is there for building browsers.
        if [ -n "$(debian_has rustup)" ]; then
            say "rustup could not be fetched from there; taking Debian's"
            install_packages rustup
        elif at_least "$least" "$(debian_has cargo-web)"; then
            say "rustup could not be fetched; taking Debian's cargo-web, which has neither rustfmt nor clippy"
            install_packages cargo-web
            # An older cargo may lie elsewhere.
            PATH=/usr/bin:$PATH
        else
            say "rustup could not be fetched; install Rust $least or newer as https://rustup.rs says, then run this again"
            exit 2
        fi
    fi
    if ! (cd "$workspace" && cargo --version >/dev/null); then
        say "Rust could not be installed; read the messages above"
        exit 2
    fi
}
