# Sourced by `test` and `twinstack`: brings in what a bare Debian lacks, or says what it would bring in.

say() { printf '%s\n' "$*" >&2; }

# need_programs PROGRAM PACKAGE [PROGRAM PACKAGE ...]
need_programs() {
    local missing=() path=$PATH:/usr/sbin:/sbin
    while [ $# -ge 2 ]; do
        PATH=$path command -v "$1" >/dev/null 2>&1 || missing+=("$2")
        shift 2
    done
    # C headers come with no program of their own.
    [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
    # curl and cargo only recommend them.
    [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] ||
        missing+=(ca-certificates)
    [ ${#missing[@]} -eq 0 ] && return
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

# Rust by rustup, at the version that rust-toolchain.toml names.
need_rust() {
    [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] && PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    command -v cargo >/dev/null 2>&1 && return
    say "Rust is missing; installing it for this user with rustup (https://rustup.rs)"
    need_programs curl curl
    if ! curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal >&2; then
        say "rustup could not be fetched; install Rust as https://rustup.rs says, then run this again"
        exit 2
    fi
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
}
