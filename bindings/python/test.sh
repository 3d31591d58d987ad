#!/bin/bash
# Builds the wheel, installs it into a fresh virtual environment and tests it there: types by mypy --strict, stubs against
# the module, pytest, the examples of docs/python.md. Sources stay as they are.
#   bindings/python/test.sh            without the live tests (RAVELIN_LIVE=off)
#   bindings/python/test.sh live       only the live tests, in the environment that is there or a fresh one
# Exit status 77: this machine cannot, the last line says why.
set -u
cd "$(dirname "$0")" || exit 2
root=$(cd ../.. && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
venv=$CARGO_TARGET_DIR/python-venv log=$CARGO_TARGET_DIR/python-venv.log
cannot() { echo "$*"; exit 77; }

python=${PYTHON:-python3}
command -v "$python" > /dev/null || cannot "$python is not installed"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || cannot "$python is older than 3.11"
"$python" -c 'import ensurepip, venv' 2> /dev/null || cannot "$python has no venv (Debian: python3-venv)"

install() {
  rm -rf "$venv"
  "$python" -m venv "$venv" > "$log" 2>&1 || { tail -n 3 "$log"; return 1; }
  "$venv/bin/pip" install -q maturin "mypy>=1.15" "pytest>=8" scapy cryptography pdoc >> "$log" 2>&1 ||
    cannot "packages of Python's index could not be installed: $(tail -n 1 "$log")"
  # The dev profile, whose dependencies the other tests have built already.
  PATH=$venv/bin:$PATH MATURIN_PEP517_ARGS="--profile ${PROFILE:-dev}" \
    "$venv/bin/pip" install -q --no-build-isolation --no-deps . >> "$log" 2>&1 || { tail -n 30 "$log"; return 1; }
}
if [ "${1:-}" != live ] || [ ! -x "$venv/bin/pytest" ]; then install || exit 1; fi

cache=$CARGO_TARGET_DIR/python-cache
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
cp -r tests "$work/" && cp -r "$root/examples/python" "$work/examples"
export RAVELIN_ROOT=$root
cd "$work" || exit 1
if [ "${1:-}" = live ]; then
  exec "$venv/bin/pytest" -q -p no:cacheprovider tests/test_live.py
fi
export RAVELIN_LIVE=off
status=0
"$venv/bin/mypy" --config-file "$root/bindings/python/pyproject.toml" --cache-dir "$cache" -p ravelin || status=1
"$venv/bin/mypy" --config-file "$root/bindings/python/pyproject.toml" --cache-dir "$cache" examples tests/live_peer.py || status=1
MYPY_CACHE_DIR=$cache "$venv/bin/python" -m mypy.stubtest ravelin._ravelin --concise || status=1
"$venv/bin/pytest" -q -p no:cacheprovider tests examples || status=1
# The reference, rendered.
"$venv/bin/pdoc" -o "$CARGO_TARGET_DIR/python-docs" ravelin ravelin.{aio,capture,config,keylog,testing,values,wire} ravelin.testing.scripts > "$work/pdoc.log" 2>&1 || { cat "$work/pdoc.log"; status=1; }
exit $status
