#!/usr/bin/env bash
# Installs the Debian packages that building, testing and the demo need and that are missing. As root or by sudo;
# otherwise prints the one line to run and stops. Usage: tests/deps.sh [build|demo|test|all|bench]
set -u
build="gcc make pkg-config libuv1-dev liblmdb-dev libsodium-dev libxxhash-dev libzstd-dev libinih-dev"
check="libcmocka-dev python3 jq iproute2 nftables procps"
fuzz="clang-14 libclang-rt-14-dev"
bench="parallel time"

case ${1:-build} in
build) wanted=$build ;;
demo) wanted="$build jq" ;;
test) wanted="$build $check" ;;
all) wanted="$build $check $fuzz $bench" ;;
bench) wanted="$build $check $bench" ;;
*) echo "usage: $0 [build|demo|test|all|bench]" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

command -v apt-get >/dev/null || { echo "missing packages:$missing (no apt-get here: install their like by hand)" >&2; exit 1; }
if [ "$(id -u)" = 0 ]; then sudo=
elif sudo -n true 2>/dev/null; then sudo=sudo
else
  echo "Some Debian packages are missing. Run this, then try again:" >&2
  echo "  apt-get install -y$missing" >&2
  exit 1
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # words on purpose
if ! $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1; then
  $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null || {
    echo "could not install:$missing" >&2
    exit 1
  }
fi
