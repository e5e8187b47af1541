#!/bin/sh
# Formatting (clang-format) and a short list of clang-tidy's checks.
# usage: check_style.sh format | check changed | check all
set -eu
files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [ ! -f "$file" ] || echo "$file"; done; }
every_source() { files '*.cc' '*.hh' '*.hpp' '*.h'; }

if [ "$1" = format ]; then
  every_source | xargs -r clang-format -i
  exit
fi

status=0
every_source | xargs -r clang-format --dry-run -Werror || { echo "make format mends this" >&2; status=1; }

# Headers are seen through the sources that include them.
sources() { files 'src/*.cc' 'examples/*.cc'; }
if [ "$2" = changed ] && git rev-parse --verify -q main >/dev/null; then
  base=$(git merge-base main HEAD)
  # On main itself: what the last commit and the working tree changed.
  [ "$base" != "$(git rev-parse HEAD)" ] || base=$(git rev-parse -q --verify 'HEAD~1' || git hash-object -t tree /dev/null)
  changed=$(mktemp)
  trap 'rm -f "$changed"' EXIT
  { git diff --name-only "$base"; git ls-files --others --exclude-standard; } | sort -u >"$changed"
  sources() { files 'src/*.cc' 'examples/*.cc' | grep -Fx -f "$changed" || true; }
fi
sources | xargs -r -n 1 -P "${CMAKE_BUILD_PARALLEL_LEVEL:-2}" clang-tidy --quiet -p build-tidy 2>/dev/null || status=1
exit $status
