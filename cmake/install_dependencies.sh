#!/bin/sh
# Installs the Debian packages of the named groups, if any is missing. Costs some milliseconds if none is.
# usage: install_dependencies.sh GROUP...
set -eu

packages_of() {
  case $1 in
    build) echo g++ cmake make ninja-build pkg-config libasio-dev libsodium-dev libfmt-dev libspdlog-dev libcli11-dev \
                nlohmann-json3-dev libxxhash-dev ;;
    # Open MPI is there because one end-to-end test starts a job under mpirun.
    test) echo libgtest-dev libgmock-dev python3 openmpi-bin ;;
    bench) echo python3-matplotlib python3-numpy ;;
    peers) echo openmpi-bin libopenmpi-dev mpich libmpich-dev libpmix-dev libgloo-dev libtorch-dev redis-server libhiredis-dev ;;
    check) echo git clang clang-format clang-tidy ;;
    fuzz) echo clang llvm libclang-rt-14-dev ;;
    terminals) echo tmux ;;
    *) echo "unknown group of packages: $1" >&2; exit 2 ;;
  esac
}

wanted=
for group in "$@"; do wanted="$wanted $(packages_of "$group")"; done

missing=
if command -v dpkg-query >/dev/null; then
  # dpkg-query exits with 1 when it does not know a package; what it prints for the others still holds.
  # shellcheck disable=SC2086
  installed=" $(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
                sed -n 's/^\([^ :]*\)[^ ]* installed$/\1/p' | tr '\n' ' ') "
  for package in $wanted; do
    case $installed in *" $package "*) ;; *) missing="$missing $package" ;; esac
  done
  [ -n "$missing" ] || exit 0
fi

# Elsewhere the user installs by hand and says so.
[ -z "${NO_INSTALL:-}" ] || exit 0

id= version=0
# shellcheck disable=SC1091
[ ! -r /etc/os-release ] || { id=$(. /etc/os-release; echo "${ID:-}"); version=$(. /etc/os-release; echo "${VERSION_ID:-0}"); }
if [ "$id" != debian ] || [ "${version%%.*}" -lt 12 ]; then
  cat >&2 <<END
Banyan installs what it needs only on Debian 12 and later. Here, please install the equivalents of these packages
(Debian's names; GCC 12 and CMake 3.25 are the oldest that work):

$(for package in ${missing:-$wanted}; do echo "    $package"; done)

then call make again with NO_INSTALL=1.
END
  exit 1
fi

as_root=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "to be installed by root:  apt-get install$missing" >&2; exit 1; }
  as_root=sudo
fi
echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >"$log" 2>&1 &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >"$log" 2>&1
}
install || { cat "$log" >&2; echo "apt-get could not install:$missing" >&2; exit 1; }
